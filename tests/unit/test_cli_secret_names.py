"""`cts secret`: single secrets are set, listed and removed, and no value is ever shown."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cts.config.blocks.schema import Group
from cts.run.state import TaskState
from cts_cli import client, push, secrets
from tests.unit.cli_fakes import SECRETS, Account, cts, deployed, folder, lines, refused, task
from tests.unit.reader_fakes import failure

CONNECTION, TASK = SECRETS[Group.CONNECTION], SECRETS[Group.TASK]
VALUE = "4ecf0b1e-the-value"
PROVIDED = """terraform_provider "bigip" {
  password = "{{ env \\"BIGIP_PASSWORD\\" }}"
}
vault {
  address = "https://vault"
  token = "{{ env \\"OWN_VAULT\\" }}"
}
"""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def live(account: Account, tmp_path: Path) -> Account:
    """With a live configuration: the task `dns` uses the provider, `web` does not."""
    dns = task("dns").replace("  module", '  providers = ["bigip"]\n  module')
    assert cts("push", folder(tmp_path, PROVIDED, task("web"), dns)).exit_code == 0
    return account


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "is_interactive", lambda: True)


@pytest.fixture(autouse=True)
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What all commands of a test print: never the value."""
    said: list[str] = []
    invoke = cts

    def noting(*arguments: str, typed: str = "") -> object:
        result = invoke(*arguments, typed=typed)
        said.append(result.stdout + result.stderr)
        return result

    monkeypatch.setitem(globals(), "cts", noting)
    yield said
    assert VALUE not in "".join(said)


# ---- set ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (VALUE, VALUE),
        (f"{VALUE}\n", VALUE),
        (f"{VALUE}\r\n", VALUE),
        (f" {VALUE} \n\n", f" {VALUE} \n\n"),
        (f"a\n{VALUE}\n", f"a\n{VALUE}\n"),
    ],
)
def test_a_value_is_read_from_standard_input(account: Account, typed: str, stored: str) -> None:
    account.write(TASK, '{"OTHER": "kept"}')
    result = cts("secret", "set", "FW_TOKEN", typed=typed)
    assert result.exit_code == 0
    assert account.held(TASK) == {"OTHER": "kept", "FW_TOKEN": stored}
    assert lines(result.stdout) == ["✓ stored in the stack's task secret: FW_TOKEN"]


def test_in_a_terminal_it_is_asked_for_and_not_echoed(account: Account, terminal: None) -> None:
    result = cts("secret", "set", "FW_TOKEN", typed=f"{VALUE}\n")
    assert result.exit_code == 0
    assert "Value of FW_TOKEN" in result.stderr
    assert account.held(TASK) == {"FW_TOKEN": VALUE}


def test_a_question_that_is_interrupted_changes_nothing(account: Account, terminal: None) -> None:
    result = cts("secret", "set", "FW_TOKEN", typed="")
    assert (result.exit_code, account.versions) == (130, {})
    assert "Nothing was changed." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["FW_TOKEN", VALUE], "The only argument is NAME"),
        (["FW_TOKEN", "-4ecf0b1e"], "The only argument is NAME"),
        (["FW_TOKEN", f"--{VALUE}"], "The only argument is NAME"),
        ([f"FW_TOKEN={VALUE}"], "NAME must be letters"),
        ([f"1{VALUE}"], "NAME must be letters"),
    ],
)
def test_a_value_is_no_argument_and_not_repeated(
    account: Account, arguments: list[str], said: str
) -> None:
    result = cts("secret", "set", *arguments, typed="x")
    assert (result.exit_code, account.versions) == (2, {})
    assert said in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["remove", "FW_TOKEN", VALUE], ["remove", "FW_TOKEN", f"--{VALUE}"],
        ["remove", "FW_TOKEN", "--group", VALUE], ["set", "FW_TOKEN", "--group", VALUE],
        ["set", "FW_TOKEN", f"--json={VALUE}"], ["list", VALUE], ["list", f"-{VALUE}"],
        [VALUE], [f"--{VALUE}"],
    ],
)  # fmt: skip
def test_no_usage_error_repeats_what_was_typed(account: Account, arguments: list[str]) -> None:
    account.write(TASK, '{"FW_TOKEN": "kept"}')
    result = cts("secret", *arguments, typed="x")
    assert (result.exit_code, account.held(TASK)) == (2, {"FW_TOKEN": "kept"})
    assert "The only argument is NAME" in result.stderr
    assert VALUE[:4] not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "Usage: "), (["set"], "Missing argument 'NAME'")]
)
def test_what_is_missing_is_said(account: Account, arguments: list[str], said: str) -> None:
    result = cts("secret", *arguments)
    assert result.exit_code == 2
    assert said in result.stdout + result.stderr


@pytest.mark.parametrize("typed", ["", "\n"])
def test_an_empty_value_is_refused(account: Account, typed: str) -> None:
    result = cts("secret", "set", "FW_TOKEN", typed=typed)
    assert (result.exit_code, account.versions) == (2, {})
    assert "there is no value on standard input" in result.stderr


def test_a_value_that_is_too_long_is_refused(account: Account) -> None:
    result = cts("secret", "set", "FW_TOKEN", typed="x" * secrets.LARGEST)
    assert (result.exit_code, account.versions) == (2, {})
    assert "would have more than 64 KiB" in result.stderr


def test_two_changes_at_once_lose_nothing(account: Account) -> None:
    account.write(TASK, '{"OLD": "kept"}')
    account.before_move.append(lambda: account.write(TASK, '{"OLD": "kept", "OTHER": "2"}'))
    cts("secret", "set", "MINE", typed=VALUE)
    assert account.held(TASK) == {"OLD": "kept", "OTHER": "2", "MINE": VALUE}


def test_a_refusal_of_aws_is_explained(account: Account) -> None:
    def refuse(**_: object) -> None:
        raise refused("AccessDeniedException", "not authorized")

    account.put_secret_value = refuse  # type: ignore[assignment, method-assign]
    result = cts("secret", "set", "FW_TOKEN", typed=VALUE)
    assert result.exit_code == 2
    assert "storing FW_TOKEN in the stack's task secret: access denied" in result.stderr


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("CONSUL_HTTP_TOKEN", Group.CONNECTION),
        ("TFC_TOKEN", Group.HCP),
        ("VAULT_TOKEN", Group.TASK),
        ("FW_TOKEN", Group.TASK),
        ("HELD", Group.CONNECTION),
    ],
)
def test_the_name_says_which_secret_it_belongs_to(
    account: Account, name: str, group: Group
) -> None:
    account.write(CONNECTION, '{"HELD": "old"}')
    found = json.loads(cts("secret", "set", name, "--json", typed=VALUE).stdout)
    assert (found["group"], found["replaced"]) == (group, name == "HELD")
    assert account.held(SECRETS[group])[name] == VALUE


def test_a_configuration_that_reads_it_says_so_too(account: Account, tmp_path: Path) -> None:
    text = 'consul {\n  token = "{{ env \\"OWN_NAME\\" }}"\n}\n'
    cts("push", str(folder(tmp_path, text, task("web"))))
    found = json.loads(cts("secret", "set", "OWN_NAME", "--json", typed=VALUE).stdout)
    assert found == {
        "name": "OWN_NAME",
        "group": "connection",
        "replaced": False,
        "tasks": ["web"],
        "gave_up": [],
    }


def test_a_name_in_two_secrets_needs_the_group(account: Account) -> None:
    for arn in (CONNECTION, TASK):
        account.write(arn, '{"X": "1"}')
    result = cts("secret", "set", "X", typed=VALUE)
    assert (result.exit_code, account.held(TASK)) == (2, {"X": "1"})
    assert "choose one with --group connection or task" in result.stderr
    assert cts("secret", "set", "X", "--group", "task", typed=VALUE).exit_code == 0
    assert (account.held(CONNECTION), account.held(TASK)) == ({"X": "1"}, {"X": VALUE})


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("BIGIP_PASSWORD", "; used by dns"),
        ("OWN_VAULT", "; used by web, dns"),
        ("UNUSED", "; not used by the live configuration"),
    ],
)
def test_it_says_which_tasks_use_it(live: Account, name: str, used: str) -> None:
    result = cts("secret", "set", name, typed=VALUE)
    assert lines(result.stdout) == [f"✓ stored in the stack's task secret: {name}{used}"]


def give_up(account: Account, *tasks: str) -> None:
    for name in tasks:
        state = TaskState(name, recent=(failure(name),), gave_up="it can't succeed")
        account.world.table.stored_states[name] = state


@pytest.mark.parametrize(
    ("name", "gave_up", "told"),
    [
        ("BIGIP_PASSWORD", ["web"], []),
        ("BIGIP_PASSWORD", ["web", "dns"], ["! dns gave up earlier: run `cts retry dns`"]),
        (
            "OWN_VAULT",
            ["web", "dns"],
            ["! web, dns gave up earlier: run `cts retry web`, `cts retry dns`"],
        ),
    ],
)
def test_tasks_that_gave_up_are_named_with_the_command_that_runs_them(
    live: Account, name: str, gave_up: list[str], told: list[str]
) -> None:
    give_up(live, *gave_up)
    result = cts("secret", "set", name, typed=VALUE)
    assert (result.exit_code, lines(result.stdout)[1:]) == (0, told)
    found = json.loads(cts("secret", "set", name, "--json", typed=VALUE).stdout)
    assert found["gave_up"] == [task for task in found["tasks"] if task in gave_up]


def test_a_task_that_gave_up_and_is_disabled_need_not_be_tried_again(live: Account) -> None:
    give_up(live, "dns")
    assert cts("task", "disable", "dns").exit_code == 0
    result = cts("secret", "set", "BIGIP_PASSWORD", typed=VALUE)
    assert (result.exit_code, len(lines(result.stdout))) == (0, 1)


def test_a_task_that_was_deleted_through_the_api_uses_nothing(live: Account) -> None:
    assert cts("task", "delete", "-auto-approve", "dns").exit_code == 0
    assert "used by web" in cts("secret", "set", "OWN_VAULT", typed=VALUE).stdout
    live.write(TASK, json.dumps({"BIGIP_PASSWORD": VALUE}))
    result = cts("secret", "remove", "BIGIP_PASSWORD", "--yes")
    told = "BIGIP_PASSWORD; not used by the live configuration"
    assert lines(result.stdout) == [f"✓ removed from the stack's task secret: {told}"]


def test_tasks_that_can_not_be_asked_for_keep_nothing_from_being_stored(
    live: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = live.read

    def fail(request: httpx.Request) -> httpx.Response:
        is_status = request.url.path.startswith("/v1/status")
        return httpx.Response(403, json={}) if is_status else read(request)

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(fail))
    give_up(live, "dns")
    result = cts("secret", "set", "BIGIP_PASSWORD", typed=VALUE)
    assert (result.exit_code, len(lines(result.stdout))) == (0, 1)


def test_without_the_bundle_nothing_is_said_of_tasks(live: Account) -> None:
    live.expired.add("1")
    result = cts("secret", "set", "BIGIP_PASSWORD", typed=VALUE)
    assert lines(result.stdout) == ["✓ stored in the stack's task secret: BIGIP_PASSWORD"]


def test_what_is_replaced_is_said(account: Account) -> None:
    account.write(TASK, '{"X": "old"}')
    result = cts("secret", "set", "X", typed=VALUE)
    assert lines(result.stdout) == ["✓ stored in the stack's task secret: X (replaced)"]


# ---- list --------------------------------------------------------------------------------------


def test_names_are_listed_without_values(live: Account) -> None:
    live.write(TASK, json.dumps({"BIGIP_PASSWORD": VALUE, "OLD\x1b[2J": VALUE}))
    live.write(CONNECTION, json.dumps({"CONSUL_HTTP_TOKEN": VALUE}))
    result = cts("secret", "list")
    assert result.exit_code == 0
    assert lines(result.stdout) == [
        "connection 1 secret, changed 1 h ago",
        "CONSUL_HTTP_TOKEN; not used by the live configuration",
        "hcp 0 secrets",
        "task 2 secrets, changed 1 h ago",
        "BIGIP_PASSWORD; used by dns",
        "OLD\\x1b[2J; not used by the live configuration",
    ]
    found = json.loads(cts("secret", "list", "--json").stdout)
    assert found["unreadable"] == []
    assert found["secrets"][1] == {
        "name": "BIGIP_PASSWORD",
        "group": "task",
        "changed_at": "2027-01-15T07:00:00+00:00",
        "tasks": ["dns"],
    }


def test_what_may_not_be_read_is_said(account: Account) -> None:
    account.may_read_secrets = False
    result = cts("secret", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "the stack's task secret can't be read: access denied" in result.stderr


# ---- remove ------------------------------------------------------------------------------------


def test_one_is_removed_and_the_others_stay(live: Account) -> None:
    live.write(TASK, json.dumps({"BIGIP_PASSWORD": VALUE, "OTHER": "kept"}))
    result = cts("secret", "remove", "BIGIP_PASSWORD", "--yes")
    assert live.held(TASK) == {"OTHER": "kept"}
    said = "✓ removed from the stack's task secret: BIGIP_PASSWORD; used by dns"
    assert lines(result.stdout) == [said]


def test_removing_needs_a_terminal_or_yes(live: Account) -> None:
    live.write(TASK, json.dumps({"BIGIP_PASSWORD": VALUE}))
    result = cts("secret", "remove", "BIGIP_PASSWORD")
    assert (result.exit_code, live.held(TASK)) == (2, {"BIGIP_PASSWORD": VALUE})
    assert "this would remove 'BIGIP_PASSWORD'; used by dns" in result.stderr


@pytest.mark.parametrize(("typed", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 130, 1)])
def test_in_a_terminal_it_is_asked(
    account: Account, terminal: None, typed: str, code: int, left: int
) -> None:
    account.write(TASK, json.dumps({"X": VALUE}))
    result = cts("secret", "remove", "X", typed=typed)
    assert (result.exit_code, len(account.held(TASK))) == (code, left)
    assert "Remove X from the stack's task secret?" in result.stderr


def test_what_is_not_there_can_not_be_removed(account: Account) -> None:
    account.write(CONNECTION, '{"X": "1"}')
    result = cts("secret", "remove", "Y", "--yes")
    assert (result.exit_code, account.held(CONNECTION)) == (2, {"X": "1"})
    assert "'Y' is not in the stack's secrets" in result.stderr
    result = cts("secret", "remove", "X", "--yes", "--group", "task")
    assert "'X' is not in the stack's task secret" in result.stderr


def test_removed_as_json(account: Account) -> None:
    account.write(TASK, json.dumps({"X": VALUE}))
    found = json.loads(cts("secret", "remove", "X", "--yes", "--json").stdout)
    assert found == {"name": "X", "group": "task", "tasks": None}
