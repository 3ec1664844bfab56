"""A push, from the folder to the answer."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from cts.config import limits
from cts_cli import push
from cts_cli.client import Reader
from tests.unit.cli_fakes import Account, cts, deployed, folder, lines, task


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return folder(tmp_path, task("web"))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "is_interactive", lambda: True)


def names(body: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(body)).namelist()


# ---- what is pushed -----------------------------------------------------------------------


def test_pushed_is_what_the_configuration_names_and_nothing_else(
    account: Account, conf: Path
) -> None:
    for other in ("README.md", "modules/other/main.tf", "modules/m/.terraform/x", "key.pem"):
        (conf / other).parent.mkdir(exist_ok=True, parents=True)
        (conf / other).write_text("x")
    assert cts("push", conf).exit_code == 0
    (body,) = account.pushed
    assert names(body) == ["modules/m/main.tf", "tasks.hcl"]


def test_files_in_order_are_pushed_with_their_order(
    account: Account, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(conf)
    (conf / "a.hcl").write_text(task("dns"))
    assert cts("push", "tasks.hcl", "a.hcl").exit_code == 0
    (body,) = account.pushed
    assert names(body) == [".configuration", "a.hcl", "modules/m/main.tf", "tasks.hcl"]
    assert zipfile.ZipFile(io.BytesIO(body)).read(".configuration") == b"tasks.hcl\na.hcl\n"


def test_the_same_files_make_the_same_bytes(account: Account, conf: Path) -> None:
    cts("push", conf)
    (conf / "tasks.hcl").touch()
    (conf / "tasks.hcl").chmod(0o600)
    cts("push", conf)
    assert account.pushed[0] == account.pushed[1]


def test_nothing_is_pushed_of_a_folder_without_configuration(
    account: Account, tmp_path: Path
) -> None:
    result = cts("push", tmp_path)
    assert (result.exit_code, account.pushed) == (2, [])
    assert result.stderr.startswith("cts: no configuration files found")


def test_a_dry_run_shows_the_difference_and_pushes_nothing(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    folder(conf, task("web", "api"), task("new"), 'consul {\n  token = "4ecf0b1e"\n}\n')
    result = cts("push", conf, "--dry-run")
    assert (result.exit_code, len(account.pushed), account.versions) == (0, 1, {})
    assert lines(result.stdout)[-3:] == ["compared with generation 1:", "+ new", "~ web"]
    assert result.stderr == "Nothing was pushed.\n"
    found = json.loads(cts("push", conf, "--dry-run", "--json").stdout)
    assert (found["outcome"], found["added"], found["changed"]) == ("dry-run", ["new"], ["web"])
    assert len(account.pushed) == 1


def test_a_dry_run_does_not_ask(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    result = cts("push", folder(conf, task("new")), "--dry-run")
    assert (result.exit_code, len(account.pushed)) == (0, 1)
    assert lines(result.stdout)[-2:] == ["+ new", "- web"]


def test_a_dry_run_of_an_invalid_configuration_fails(account: Account, conf: Path) -> None:
    assert cts("push", folder(conf, 'task {\n  nam = "x"\n}\n'), "--dry-run").exit_code == 1


def test_a_push_needs_a_path(account: Account) -> None:
    result = cts("push")
    assert (result.exit_code, account.pushed) == (2, [])


def test_what_is_too_large_is_refused(
    account: Account, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LARGEST_BUNDLE", 100)
    result = cts("push", conf)
    assert (result.exit_code, account.pushed) == (2, [])
    assert "the zip has more than 100 bytes" in result.stderr


# ---- the check before it --------------------------------------------------------------------


def test_problems_are_shown_and_nothing_is_pushed(account: Account, conf: Path) -> None:
    folder(conf, task("web").replace("names", "naems"))
    result = cts("push", conf)
    assert (result.exit_code, account.pushed, account.requests) == (1, [], [])
    assert "tasks.hcl:6:5" in result.stdout
    assert '→ did you mean "names"?' in result.stdout
    assert result.stderr == "Nothing was pushed.\n"


def test_problems_as_json(account: Account, conf: Path) -> None:
    folder(conf, task("web").replace("names", "naems"))
    result = cts("push", conf, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["outcome"]) == (1, "invalid")
    assert "unknown-option" in [each["code"] for each in found["problems"]]


# ---- the stack and other pushes ------------------------------------------------------------


@pytest.mark.parametrize("command", ["push", "rollback"])
def test_a_stack_of_an_older_version_is_told(
    account: Account, conf: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    answer = {"live": {"generation": 1, "source_version": "1"}, "rejected": None}
    monkeypatch.setattr(Reader, "get", lambda *_: answer)
    result = cts(*([command, conf] if command == "push" else [command]))
    assert (result.exit_code, account.pushed) == (2, [])
    assert "the deployed stack is older than this command: deploy this version" in result.stderr


@pytest.mark.parametrize("first", [True, False])
def test_a_push_in_between_is_compared_with_before_it_is_replaced(
    account: Account, conf: Path, tmp_path: Path, first: bool
) -> None:
    if not first:
        account.was_pushed(conf)
    other = folder(tmp_path / "other", task("web"), task("other"))
    account.before_put.append(lambda: cts("push", other))
    result = cts("push", conf)
    assert (result.exit_code, len(account.pushed)) == (2, 2 - first)
    assert "Another push was made in the meantime" in result.stderr
    assert "- other" in lines(result.stdout)
    assert "this would remove 1 task (other)" in result.stderr
    more = folder(other, task("web"), task("other"), task("more"))
    account.before_put.append(lambda: cts("push", more))
    result = cts("push", conf, "--yes")
    assert (result.exit_code, len(account.pushed)) == (0, 4 - first)
    assert "- more" in lines(result.stdout)


# ---- what is removed is asked for --------------------------------------------------------------


def test_what_would_be_removed_needs_somebody_or_yes(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web"), task("old")))
    result = cts("push", folder(conf, task("web")))
    assert (result.exit_code, len(account.pushed)) == (2, 1)
    assert (
        "this would remove 1 task (old); there is no terminal to ask on, so pass --yes to confirm"
        in result.stderr
    )
    assert cts("push", conf, "--yes").exit_code == 0


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("typed", "code", "pushes"), [("y\n", 0, 2), ("n\n", 1, 1), ("\n", 1, 1)])
def test_in_a_terminal_it_is_asked(
    account: Account, conf: Path, typed: str, code: int, pushes: int
) -> None:
    account.was_pushed(folder(conf, task("web"), task("old")))
    result = cts("push", folder(conf, task("web")), typed=typed)
    assert (result.exit_code, len(account.pushed)) == (code, pushes)
    asked = "This would remove 1 task (old). Its resources stay, but are no longer updated. Push?"
    assert f"{asked} [y/N]" in result.stderr
    assert ("Nothing was pushed." in result.stderr) == (code == 1)


@pytest.mark.usefixtures("terminal")
def test_the_question_is_about_all_tasks_that_would_be_removed(
    account: Account, conf: Path
) -> None:
    account.was_pushed(folder(conf, task("web"), task("old"), task("older")))
    result = cts("push", folder(conf, task("web")), typed="n\n")
    asked = (
        "This would remove 2 tasks (old, older). Their resources stay, but are no longer updated"
    )
    assert f"{asked}. Push? [y/N]" in result.stderr


def test_what_would_stop_running_needs_somebody_or_yes(account: Account, conf: Path) -> None:
    cloud = 'driver "terraform-cloud" {\n  organization = "example"\n}\n'
    cloud += 'serverless {\n  git_ssh_key = "{{ env \\"KEY\\" }}"\n}\n'
    account.was_pushed(folder(conf, task("fw"), task("old")))
    result = cts("push", folder(conf, cloud, task("fw")))
    assert (result.exit_code, len(account.pushed)) == (2, 1)
    assert lines(result.stdout)[-3:] == [
        "compared with generation 1:",
        "- old",
        '! fw stops running: needs git_ssh_key with driver "terraform-cloud"',
    ]
    told = (
        "this would remove 1 task (old), stop 1 task (fw); there is no terminal to ask on, "
        "so pass --yes to confirm"
    )
    assert told in result.stderr
    assert cts("push", conf, "--yes").exit_code == 0
    assert cts("push", conf).exit_code == 0


@pytest.mark.usefixtures("terminal")
def test_a_refusal_as_json(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web"), task("old")))
    result = cts("push", folder(conf, task("web")), "--json", typed="n\n")
    printed = result.stdout.removeprefix(" n\n")  # what was typed
    assert (result.exit_code, json.loads(printed)) == (1, {"outcome": "not-pushed"})


@pytest.mark.usefixtures("terminal")
def test_a_question_that_is_interrupted_ends_it(account: Account, conf: Path) -> None:
    account.was_pushed(folder(conf, task("web"), task("old")))
    result = cts("push", folder(conf, task("web")), typed="")
    assert (result.exit_code, len(account.pushed)) == (130, 1)
    assert result.stderr.endswith("\nNothing was pushed.\n")


def test_nobody_is_behind_a_closed_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert not push.is_interactive()
