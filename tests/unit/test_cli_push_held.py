"""Pushes that hold tasks and show their plans: --adopt and --inspect."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from cts.config.bundle import HELD
from cts.run.model import Run, RunStatus
from cts.run.pushed import PUSH
from tests.unit.api_fakes import ANN
from tests.unit.cli_fakes import Account, cts, deployed, folder, lines, task
from tests.unit.reader_fakes import applied, errored


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return folder(tmp_path, task("web"))


def planned(run: Run) -> Run:
    """A run that the next request asks for."""
    asked = replace(run, request="r-1", by=ANN, why=("inspect",))
    return replace(asked, status=RunStatus.PLANNED) if run.status.succeeded else asked


def held(account: Account) -> list[str]:
    """What the last push holds."""
    files = zipfile.ZipFile(io.BytesIO(account.pushed[-1]))
    names: list[str] = json.loads(files.read(HELD)) if HELD in files.namelist() else []
    return names


def test_new_tasks_are_held_and_planned(account: Account, conf: Path) -> None:
    run = planned(applied())
    account.world.ran(run)
    account.world.write_log(run, "Plan: 1 to add\n")
    result = cts("push", conf, "--adopt")
    assert (result.exit_code, held(account)) == (0, ["web"])
    state = account.world.table.state("web")
    assert state.held
    assert state.held.by == PUSH
    assert [reason.value for reason in state.wanted] == ["inspect"]
    assert lines(result.stdout)[-4:] == [
        "Plan: 1 to add",
        "! web is held: nothing is applied",
        "once you have seen the plans:",
        "cts release web",
    ]


def test_a_plan_that_failed_is_exit_code_1(account: Account, conf: Path) -> None:
    account.world.ran(planned(errored()))
    result = cts("push", conf, "--adopt")
    assert result.exit_code == 1
    assert account.world.table.state("web").hold
    assert "once you have seen the plans:" not in lines(result.stdout)


def test_a_task_whose_plan_failed_is_not_named_for_release(account: Account, conf: Path) -> None:
    (conf / "tasks.hcl").write_text(task("a") + task("b") + task("c") + task("d"))
    for name, run in {"a": errored, "b": applied, "c": errored, "d": applied}.items():
        account.world.ran(planned(run(name)))
    result = cts("push", conf, "--inspect")
    assert (result.exit_code, lines(result.stdout)[-8:]) == (
        1,
        [
            "! a, b, c, d are held: nothing is applied",
            "once you have seen the plans:",
            "cts release b",
            "cts release d",
            "✗ plans failed: a, c; do not release them without a plan",
            "once you have fixed the cause:",
            "cts inspect a --wait",
            "cts inspect c --wait",
        ],
    )


@pytest.mark.parametrize(("option", "names"), [("--adopt", ["dns"]), ("--inspect", ["dns", "web"])])
def test_which_tasks_are_held(account: Account, conf: Path, option: str, names: list[str]) -> None:
    (conf / "tasks.hcl").write_text(task("web") + task("same"))
    account.was_pushed(conf)
    changed = task("web", service="other")
    (conf / "tasks.hcl").write_text(changed + task("same") + task("dns"))
    account.world.ran(planned(applied("dns")), planned(applied("web")))
    result = cts("push", conf, option)
    assert (result.exit_code, held(account)) == (0, names)
    assert account.world.table.state("same").hold is None


def test_a_push_that_holds_nothing_plans_nothing(account: Account, conf: Path) -> None:
    account.was_pushed(conf)
    result = cts("push", conf, "--inspect")
    assert (result.exit_code, held(account)) == (0, [])
    assert "held" not in result.stdout


def test_without_waiting_tasks_are_held_all_the_same(account: Account, conf: Path) -> None:
    result = cts("push", conf, "--adopt", "--no-wait")
    assert (result.exit_code, held(account)) == (0, ["web"])
    assert lines(result.stdout)[-3:] == [
        "! web is held: nothing is applied",
        "see the plan of each one before you release it with `cts release TASK`:",
        "cts inspect web --wait",
    ]


def test_scripts_get_the_plans(account: Account, conf: Path) -> None:
    account.world.ran(planned(applied()))
    found = json.loads(cts("push", conf, "--adopt", "--json").stdout)
    assert (found["outcome"], found["held"]) == ("published", ["web"])
    assert [each["status"] for each in found["plans"]] == ["planned"]


def test_a_stack_that_would_hold_nothing_gets_nothing(account: Account, conf: Path) -> None:
    outputs = account.stacks["cts"]
    account.stacks["cts"] = {name: outputs[name] for name in outputs if name != "ApiUrl"}
    result = cts("push", conf, "--adopt")
    assert (result.exit_code, account.pushed) == (2, [])
    assert "older than this command" in result.stderr


def test_who_interrupts_the_plans_is_told_what_stays_held(account: Account, conf: Path) -> None:
    account.interrupted = True
    result = cts("push", conf, "--adopt")
    assert result.exit_code == 130
    assert account.world.table.state("web").hold


def test_a_rollback_holds_nothing(account: Account, conf: Path) -> None:
    account.world.ran(planned(applied()))
    cts("push", conf, "--adopt")
    cts("release", "web")
    (conf / "tasks.hcl").write_text(task("web", service="other"))
    cts("push", conf)
    assert cts("rollback", "--yes").exit_code == 0
    assert held(account) == []
    assert account.world.table.state("web").hold is None
