"""Secrets of a configuration on their way to the stack's own."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from cts.config.blocks.model import WrittenSecret
from cts.config.blocks.schema import Group
from cts.config.bundle import unpacked
from cts.config.rules.problem import Place, Where
from cts_cli import aws, secrets
from cts_cli.errors import CommandError
from tests.unit.cli_fakes import (
    OUTPUTS,
    READER,
    SECRETS,
    Account,
    cts,
    deployed,
    folder,
    lines,
    refused,
    task,
)

CONNECTION, TASK = SECRETS[Group.CONNECTION], SECRETS[Group.TASK]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return folder(tmp_path)


def secret(name: str, value: str, group: Group = Group.CONNECTION) -> WrittenSecret:
    return WrittenSecret(Where("", Place("a.hcl", 1, 1), {}), group, name, "a.hcl", 0, 0, value)


def move(*found: WrittenSecret) -> secrets.Kept:
    return secrets.move(aws.find_stack("cts"), found)


def test_each_goes_to_the_secret_of_its_group(account: Account) -> None:
    moved = move(
        secret("CONSUL_HTTP_TOKEN", "abc"),
        secret("CONSUL_HTTP_PASSWORD", "pw"),
        secret("PANOS_PASSWORD", "xyz", Group.TASK),
    )
    assert moved == {
        "connection": {"CONSUL_HTTP_PASSWORD": False, "CONSUL_HTTP_TOKEN": False},
        "task": {"PANOS_PASSWORD": False},
    }
    assert account.held(CONNECTION) == {"CONSUL_HTTP_TOKEN": "abc", "CONSUL_HTTP_PASSWORD": "pw"}
    assert account.held(TASK) == {"PANOS_PASSWORD": "xyz"}


@pytest.mark.parametrize("text", ["", "{}", '{"OLD": "kept"}'])
def test_what_nobody_names_any_more_stays(account: Account, text: str) -> None:
    account.write(CONNECTION, text)
    move(secret("NEW", "1"))
    assert account.held(CONNECTION) == ({"OLD": "kept"} if "OLD" in text else {}) | {"NEW": "1"}


def test_a_new_value_takes_the_place_of_the_former_one(account: Account) -> None:
    account.write(CONNECTION, '{"TOKEN": "old"}')
    assert move(secret("TOKEN", "new")) == {"connection": {"TOKEN": True}}
    assert account.held(CONNECTION) == {"TOKEN": "new"}


def test_what_is_there_already_is_not_written_again(account: Account) -> None:
    account.write(CONNECTION, '{"TOKEN": "abc"}')
    assert move(secret("TOKEN", "abc")) == {"connection": {"TOKEN": False}}
    assert len(account.versions[CONNECTION]) == 1


def test_without_secrets_nothing_is_called(account: Account) -> None:
    assert move() == {}
    assert account.versions == {}


def test_two_pushes_at_once_lose_nothing(account: Account) -> None:
    account.write(CONNECTION, '{"OLD": "kept"}')
    account.before_move.append(lambda: account.write(CONNECTION, '{"OLD": "kept", "OTHER": "2"}'))
    move(secret("MINE", "1"))
    assert account.held(CONNECTION) == {"OLD": "kept", "OTHER": "2", "MINE": "1"}


def test_two_first_pushes_at_once_lose_nothing(account: Account) -> None:
    """Of a secret without value: only one of the two makes its first version."""
    get = account.get_secret_value

    def other_is_first(SecretId: str) -> dict[str, object]:  # noqa: N803
        account.get_secret_value = get  # type: ignore[method-assign]
        try:
            return get(SecretId)
        finally:
            account.put_secret_value(SecretId, '{"OTHER": "2"}', ["PUSHED"])

    account.get_secret_value = other_is_first  # type: ignore[method-assign]
    move(secret("MINE", "1"))
    assert account.held(CONNECTION) == {"OTHER": "2", "MINE": "1"}


def test_a_refusal_for_another_reason_is_told(account: Account) -> None:
    account.write(CONNECTION, "{}")

    def refuse(**_: str) -> None:
        raise refused("InvalidParameterException", "something else")

    account.update_secret_version_stage = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(CommandError, match=r"storing TOKEN in the stack's secret: .*something"):
        move(secret("TOKEN", "abc"))


def test_a_secret_that_changes_all_the_time_is_given_up(account: Account) -> None:
    account.write(CONNECTION, "{}")
    account.before_move += [lambda: account.write(CONNECTION, "{}")] * secrets.TRIES
    with pytest.raises(CommandError, match="keeps being changed by others"):
        move(secret("TOKEN", "abc"))


@pytest.mark.parametrize("text", ["abc", "[]"])
def test_a_secret_that_was_edited_is_not_overwritten(account: Account, text: str) -> None:
    account.write(CONNECTION, text)
    with pytest.raises(CommandError, match="must contain a JSON object, or nothing"):
        move(secret("TOKEN", "xyz"))
    assert len(account.versions[CONNECTION]) == 1


def test_an_older_stack_without_secrets_is_told(account: Account) -> None:
    account.stacks["cts"] = {"ReaderUrl": READER, "WorkBucket": OUTPUTS["WorkBucket"]}
    with pytest.raises(CommandError, match="deploy this version of it first"):
        move(secret("TOKEN", "abc"))


# ---- of a push ---------------------------------------------------------------------------------


TOKEN = "4ecf0b1e-the-token"


def test_secrets_move_to_the_stack_and_references_are_pushed(account: Account, conf: Path) -> None:
    folder(conf, task("web"), f'consul {{\n  token = "{TOKEN}"\n}}\n')
    result = cts("push", conf)
    assert result.exit_code == 0
    assert account.held(CONNECTION) == {"CONSUL_HTTP_TOKEN": TOKEN}
    assert "✓ stored in the stack's connection secret: CONSUL_HTTP_TOKEN" in lines(result.stdout)
    assert TOKEN not in result.stdout + result.stderr
    (body,) = account.pushed
    pushed = zipfile.ZipFile(io.BytesIO(body)).read("tasks.hcl").decode()
    assert TOKEN not in pushed
    assert 'token = "{{ env \\"CONSUL_HTTP_TOKEN\\" }}"' in pushed
    assert TOKEN in (conf / "tasks.hcl").read_text()


def test_a_value_that_is_replaced_is_told(account: Account, conf: Path) -> None:
    account.write(CONNECTION, '{"CONSUL_HTTP_TOKEN": "old"}')
    folder(conf, task("web"), f'consul {{\n  token = "{TOKEN}"\n}}\n')
    result = cts("push", conf)
    told = "✓ stored in the stack's connection secret: CONSUL_HTTP_TOKEN (replaced)"
    assert told in lines(result.stdout)
    account.write(CONNECTION, '{"CONSUL_HTTP_TOKEN": "old"}')
    account.before_put.append(lambda: cts("push", folder(conf / "other", task("web"))))
    found = json.loads(cts("push", conf, "--json").stdout)
    names = {"connection": ["CONSUL_HTTP_TOKEN"]}
    assert (found["secrets"], found["replaced_secrets"]) == (names, names)


def test_secrets_are_there_before_the_bundle_that_names_them(account: Account, conf: Path) -> None:
    folder(conf, task("web"), f'consul {{\n  token = "{TOKEN}"\n}}\n')

    def dies(**_: object) -> dict[str, str]:
        raise KeyboardInterrupt

    account.put_object = dies  # type: ignore[assignment, method-assign]
    cts("push", conf)
    assert account.held(CONNECTION) == {"CONSUL_HTTP_TOKEN": TOKEN}


def test_what_stands_in_comments_stays_here(account: Account, conf: Path) -> None:
    folder(conf, f'# consul {{ token = "{TOKEN}" }}\n', task("web"), f"/* {TOKEN} */")
    cts("push", conf)
    files = unpacked(account.pushed[-1])
    assert files
    assert not [name for name, content in files.items() if TOKEN.encode() in content]
    assert account.versions == {}


def test_nothing_moves_for_a_push_that_is_not_made(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web"), task("old")))
    cts("push", folder(conf, task("web"), f'consul {{\n  token = "{TOKEN}"\n}}\n'))
    assert account.versions == {}


# ---- names that a configuration reads -----------------------------------------------------------

PROVIDER = """terraform_provider "bigip" {
  user = "{{ env \\"BIGIP_USER\\" }}"
  pass = "{{ env \\"BIGIP_PASSWORD\\" }}"
}
"""
READS_TOKEN = 'consul {\n  token = "{{ env \\"CONSUL_HTTP_TOKEN\\" }}"\n}\n'


@pytest.mark.parametrize(
    ("held", "told"),
    [
        pytest.param(
            None,
            "BIGIP_PASSWORD, BIGIP_USER are missing from the stack's task secret: add them with "
            "`cts secret set BIGIP_PASSWORD --group task`, "
            "`cts secret set BIGIP_USER --group task`",
            id="no-value-yet",
        ),
        pytest.param(
            ["BIGIP_USER"],
            "BIGIP_PASSWORD is missing from the stack's task secret: add it with "
            "`cts secret set BIGIP_PASSWORD --group task`",
            id="one-of-two",
        ),
        pytest.param(["BIGIP_USER", "BIGIP_PASSWORD"], "", id="both"),
    ],
)
def test_a_name_that_is_not_in_its_secret_is_warned_of(
    account: Account, conf: Path, held: list[str] | None, told: str
) -> None:
    if held is not None:
        account.write(TASK, json.dumps(dict.fromkeys(held, "x")))
    result = cts("push", folder(conf, PROVIDER, task("web")))
    assert result.exit_code == 0
    assert ("missing from the stack's" in result.stdout) == bool(told)
    assert told in result.stdout


def test_a_name_whose_secret_moves_with_the_push_is_not_warned_of(
    account: Account, conf: Path
) -> None:
    result = cts("push", folder(conf, 'consul {\n  token = "abc"\n}\n', task("web")))
    assert (result.exit_code, "missing from the stack's" in result.stdout) == (0, False)


@pytest.mark.parametrize(
    ("consul_secret", "may_read", "told"),
    [("", True, True), ("arn:mine", True, False), ("", False, False)],
)
def test_consuls_token_may_be_elsewhere_or_out_of_sight(
    account: Account, conf: Path, consul_secret: str, may_read: bool, told: bool
) -> None:
    account.parameters["ConsulSecretArn"] = consul_secret
    account.may_read_secrets = may_read
    result = cts("push", folder(conf, READS_TOKEN, task("web")))
    assert result.exit_code == 0
    warning = "CONSUL_HTTP_TOKEN is missing from the stack's connection secret"
    assert (warning in result.stdout) == told
