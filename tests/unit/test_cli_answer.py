"""The answer to a push: what the command shows of it, and how it ends."""

import json
from pathlib import Path

import pytest

from tests.unit.cli_fakes import Account, cts, deployed, folder, lines, task
from tests.unit.reader_fakes import NOW, problem, rejected


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return folder(tmp_path, task("web"))


def test_a_rejected_push_shows_each_problem_at_its_place(account: Account, conf: Path) -> None:
    """What passed here and not there: the stack is of another version."""
    account.was_pushed(conf)
    account.publisher = False
    account.world.table.refused = rejected(
        "2",
        NOW,
        problem(column=12, code="invalid-value"),
        problem(file="vars.tfvars", line=0, path="", fix=""),
    )
    result = cts("push", conf)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[2:] == [
        "✗ tasks.hcl:3:12  task.web.condition.services",
        '      name   = "web"',
        "               ^",
        '    unknown option "naems"',
        '    → did you mean "names"?',
        "",
        "✗ vars.tfvars",
        '    unknown option "naems"',
        "",
        "✗ rejected: 2 problems",
        "  generation 1 stays live",
    ]


def test_a_rejected_push_as_json_has_the_problems(account: Account, conf: Path) -> None:
    account.publisher = False
    account.world.table.refused = rejected("1")
    result = cts("push", conf, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == [problem()]


def test_a_push_that_a_newer_one_replaced_says_so(account: Account, conf: Path) -> None:
    account.publisher, account.newer = False, "another"
    result = cts("push", conf)
    assert result.exit_code == 1
    assert "superseded by a newer push" in result.stdout


def test_an_interrupted_push_says_that_it_was_made(account: Account, conf: Path) -> None:
    account.interrupted = True
    result = cts("push", conf)
    assert (result.exit_code, len(account.pushed)) == (130, 1)
    assert result.stderr.splitlines()[-1] == (
        "Interrupted. The push was made and will be processed: see `cts status`."
    )


def test_a_push_need_not_wait(account: Account, conf: Path) -> None:
    account.publisher = False
    result = cts("push", conf, "--no-wait")
    assert result.exit_code == 0
    assert lines(result.stdout)[-1] == "pushed 2 files; see `cts status` for the result"


@pytest.mark.parametrize("wait", ["--wait", "--no-wait"])
def test_a_push_as_json(account: Account, conf: Path, wait: str) -> None:
    answer = json.loads(cts("push", conf, "--json", wait).stdout)
    assert answer["source_version"] == "1"
    assert answer["outcome"] == ("published" if wait == "--wait" else "pushed")
    assert answer["secrets"] == {}


def test_warnings_are_told_once_and_in_short(account: Account, conf: Path) -> None:
    folder(conf, "port = 8558\n", task("web").replace("module =", "source ="))
    shown = lines(cts("push", conf).stdout)
    assert shown[:2] == [
        "! tasks.hcl:5:12 task.web.source: source is deprecated",
        "1 option not needed here: see `cts validate` for details",
    ]
    assert len([each for each in shown if "deprecated" in each]) == 1
