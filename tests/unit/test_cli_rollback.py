"""Going back to what was live before."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cts import keys
from cts.config.blocks.schema import Group
from cts.config.bundle import archive
from cts_cli import push
from tests.unit.cli_fakes import SECRETS, Account, cts, deployed, folder, lines, task
from tests.unit.reader_fakes import NOW


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return folder(tmp_path)


def test_the_former_push_is_made_once_more(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api"), task("new")))
    result = cts("rollback", "--yes")
    at = datetime.fromtimestamp(NOW, UTC).astimezone()
    assert result.exit_code == 0
    assert lines(result.stdout) == [
        f"rolling back to generation 1, published {at:%Y-%m-%d %H:%M} (just now)",
        "compared with generation 2:",
        "~ web",
        "- new",
        "✓ published as generation 3 in 0.0 s",
    ]
    assert "pushed generation 1 again" in result.stderr
    assert account.pushed[2] == account.pushed[0]


def test_generations_of_the_same_files_are_passed_over(account: Account, conf: Path) -> None:
    """A new version of the stack publishes what is there once more."""
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    live = account.world.table.live
    assert live
    account.world.table.live = replace(live, contract=1)
    account.publish()
    assert cts("rollback", "--yes").exit_code == 0
    assert account.pushed[2] == account.pushed[0]


def test_pushes_of_the_same_files_are_passed_over(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    for _ in range(3):
        account.was_pushed(folder(conf, task("web", "api")))
    assert cts("rollback", "--yes").exit_code == 0
    assert account.pushed[4] == account.pushed[0]


@pytest.mark.parametrize("again", ["pushed", "published"])
def test_if_all_files_are_the_same_a_number_can_be_named(
    account: Account, conf: Path, again: str
) -> None:
    """Pushed again, or published again by a new version of the stack."""
    account.was_pushed(folder(conf, task("web")))
    for _ in range(2):
        if again == "pushed":
            account.was_pushed(conf)
        else:
            live = account.world.table.live
            assert live
            account.world.table.live = replace(live, contract=1)
            account.publish()
    pushes = len(account.pushed)
    result = cts("rollback", "--yes")
    assert (result.exit_code, len(account.pushed)) == (2, pushes)
    assert result.stderr == (
        "cts: no earlier generation has files that differ from the live one's: "
        "to push the same files again, give a number, as in `cts rollback 2`\n"
    )
    assert cts("rollback", "2", "--yes").exit_code == 0


def test_secrets_that_stay_are_told(account: Account, conf: Path) -> None:
    token = 'consul {\n  token = "%s"\n}\n'
    cts("push", folder(conf, task("web"), token % "former"))
    cts("push", folder(conf, task("web", "api"), token % "now"))
    result = cts("rollback", "--yes")
    assert lines(result.stdout)[1] == "secrets keep their current values: CONSUL_HTTP_TOKEN"
    assert account.held(SECRETS[Group.CONNECTION]) == {"CONSUL_HTTP_TOKEN": "now"}


def test_a_bundle_with_a_secret_is_shown_and_not_pushed(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    account.world.bucket.objects[keys.BUNDLE][0] = archive(
        {"tasks.hcl": b'consul { token = "4ecf0b1e" }'}
    )
    result = cts("rollback")
    assert (result.exit_code, len(account.pushed)) == (1, 2)
    assert "the configuration contains a secret in plain text" in result.stdout
    assert lines(result.stdout)[-1].startswith("✗ 1 problem")
    assert "4ecf0b1e" not in result.stdout
    assert json.loads(cts("rollback", "--json").stdout)["outcome"] == "invalid"


@pytest.mark.parametrize("number", [1, 2])
def test_any_former_generation_can_be_named(account: Account, conf: Path, number: int) -> None:
    for service in ("a", "b", "c"):
        account.was_pushed(folder(conf, task("web", service)))
    assert cts("rollback", str(number), "--yes").exit_code == 0
    assert account.pushed[3] == account.pushed[number - 1]


def test_a_rollback_that_removes_a_task_asks(
    account: Account, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web"), task("new")))
    assert cts("rollback").exit_code == 2
    monkeypatch.setattr(push, "is_interactive", lambda: True)
    assert cts("rollback", typed="n\n").exit_code == 1
    assert len(account.pushed) == 2
    assert cts("rollback", typed="y\n").exit_code == 0


def test_a_rollback_that_keeps_every_task_asks_too(
    account: Account, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    refused = cts("rollback")
    assert (refused.exit_code, "pass --yes" in refused.stderr) == (2, True)
    monkeypatch.setattr(push, "is_interactive", lambda: True)
    result = cts("rollback", typed="n\n")
    assert "~ web" in lines(result.stdout)
    assert (result.exit_code, "Roll back to generation 1?" in result.stderr) == (1, True)
    assert len(account.pushed) == 2
    assert cts("rollback", typed="y\n").exit_code == 0


def test_a_rollback_as_json(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    found = json.loads(cts("rollback", "--yes", "--json").stdout)
    assert (found["outcome"], found["generation"], found["changed"]) == ("published", 3, ["web"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2"], "generation 2 is the live one: choose one from 1 to 1"),
        (["7"], "generation 7 does not exist: choose one from 1 to 1"),
        (["0"], "generation 0 does not exist: choose one from 1 to 1"),
    ],
)
def test_a_number_that_is_no_former_generation_is_told(
    account: Account, conf: Path, arguments: list[str], said: str
) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    result = cts("rollback", *arguments)
    assert (result.exit_code, len(account.pushed)) == (2, 2)
    assert said in result.stderr


def test_before_the_first_push_there_is_nothing_to_go_back_to(account: Account) -> None:
    result = cts("rollback")
    assert (result.exit_code, result.stderr) == (
        2,
        "cts: nothing is live yet, so there is nothing to roll back to\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "generation 1 is the live one: there is no earlier one yet"),
        (["1"], "generation 1 is the live one: there is no earlier one yet"),
        (["2"], "generation 2 does not exist: there is no earlier one yet"),
    ],
)
def test_the_first_generation_has_no_former_one(
    account: Account, conf: Path, arguments: list[str], said: str
) -> None:
    account.was_pushed(folder(conf, task("web")))
    result = cts("rollback", *arguments)
    assert (result.exit_code, len(account.pushed)) == (2, 1)
    assert said in result.stderr


def test_a_bundle_that_is_gone_is_told(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    account.expired.add("1")
    result = cts("rollback")
    assert (result.exit_code, len(account.pushed)) == (2, 2)
    assert "the bundle of generation 1 is gone, as bundles are kept for 90 days" in result.stderr


def test_a_bundle_that_is_no_zip_is_told(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    account.world.bucket.objects[keys.BUNDLE][0] = b"PK"
    result = cts("rollback")
    assert (result.exit_code, len(account.pushed)) == (2, 2)
    assert "the bundle of generation 1 can't be read: it is not" in result.stderr


def test_a_generation_that_was_altered_is_told_and_not_followed(
    account: Account, conf: Path
) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    [key] = [key for key in account.world.bucket.objects if key.startswith("generations/1-")]
    account.world.bucket.write(key, account.world.bucket.objects[key][-1] + b" ")
    result = cts("rollback")
    assert (result.exit_code, len(account.pushed)) == (2, 2)
    assert "was changed after it was stored" in lines(result.stderr)[0]


def test_a_generation_that_was_not_recorded_is_told(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    for key in [key for key in account.world.bucket.objects if key.startswith("generations/1-")]:
        account.world.bucket.expire(key)
    result = cts("rollback")
    assert (result.exit_code, len(account.pushed)) == (2, 2)
    assert "the record of generation 1 is gone, so earlier ones can't be found" in result.stderr


def test_what_is_not_accepted_any_more_is_shown_and_not_pushed(
    account: Account, conf: Path
) -> None:
    account.was_pushed(folder(conf, task("web")))
    account.was_pushed(folder(conf, task("web", "api")))
    former = account.world.bucket.objects[keys.BUNDLE]
    former[0] = archive({"tasks.hcl": b'task { nam = "x" }'})
    result = cts("rollback")
    assert (result.exit_code, len(account.pushed)) == (1, 2)
    assert 'did you mean "name"?' in result.stdout
