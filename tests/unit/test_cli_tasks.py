"""The commands that change tasks: hold, release, retry, run, inspect, upgrade-terraform."""

import json
from dataclasses import replace

import httpx
import pytest

from cts.events import TaskHeld, TaskTriggered
from cts.run.model import Run
from cts.run.state import TaskState
from cts_cli import client
from tests.unit.api_fakes import ANN
from tests.unit.cli_fakes import Account, cts, deployed, lines
from tests.unit.reader_fakes import applied, errored, failure, published, running, success

WHY = "the firewall is replaced"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = deployed(monkeypatch)
    account.world.add(TaskState("web", recent=(success("web"),)))
    account.world.read_services("web")
    return account


def asked(run: Run) -> Run:
    """A run that the next request asks for."""
    return replace(run, request="r-1", by=ANN, why=("person",))


def gave_up(account: Account) -> None:
    account.world.add(TaskState("web", recent=(failure("web"),), gave_up="failed 5 times"))


def test_a_held_task_says_so_until_it_is_released(account: Account) -> None:
    held = cts("hold", "web", "--why", WHY)
    assert (held.exit_code, lines(held.stdout)) == (
        0,
        ["✓ web is held: nothing is applied until `cts release web`"],
    )
    assert [each.by for each in account.bus.of(TaskHeld)] == [ANN]
    said = lines(cts("status").stdout)
    assert f"web ● successful held for 0 s: {WHY} ✓ 1 min ago +1" in said
    assert f"! web: held by {ANN} (cts release web)" in said
    released = cts("release", "web")
    assert (released.exit_code, lines(released.stdout)) == (0, ["✓ web is not held"])
    assert "held" not in cts("status").stdout


def test_a_hold_needs_a_reason(account: Account) -> None:
    assert cts("hold", "web").exit_code == 2
    refused = cts("hold", "web", "--why", " ")
    assert (refused.exit_code, '"why"' in refused.stderr) == (2, True)


def test_a_task_that_gave_up_names_the_command_that_helps(account: Account) -> None:
    gave_up(account)
    said = lines(cts("status").stdout)
    woken = "once service web changes, or once a push changes the task"
    assert f"→ web: runs again {woken} (cts retry web)" in said
    result = cts("retry", "web")
    assert result.exit_code == 0
    assert lines(result.stdout) == ["✓ asked for: `cts status` shows web, `cts logs web` its log"]
    assert account.bus.of(TaskTriggered) == [TaskTriggered("web", "r-1")]


def leaves(account: Account, state: TaskState) -> None:
    world = account.world
    world.declare(state, enabled=False)
    world.tasks["web"] = replace(world.tasks["web"], leaving="r-0")
    world.publish(world.table.live or published())


def test_a_task_that_is_destroyed_says_that_it_is_being_deleted(account: Account) -> None:
    leaves(account, TaskState("web", recent=(success("web"),), leaving="r-0", destroyed=True))
    said = lines(cts("status").stdout)
    assert any("being deleted ✓" in each for each in said)
    assert "1 task: 1 successful · 1 being deleted" in said


def test_a_task_whose_run_destroys_says_both(account: Account) -> None:
    leaves(account, TaskState("web", running=running("web"), leaving="r-0"))
    said = lines(cts("status").stdout)
    assert any("being deleted: running for" in each for each in said)


def test_a_task_that_could_not_be_destroyed_names_the_command_that_helps(account: Account) -> None:
    gone = TaskState("web", recent=(failure("web"),), gave_up="failed 5 times", leaving="r-0")
    leaves(account, gone)
    said = lines(cts("status").stdout)
    what = "→ web: is deleted when what it has created is destroyed (cts retry web)"
    assert what in said
    assert not any("runs again" in each for each in said)


def test_what_the_state_forbids_is_a_sentence(account: Account) -> None:
    result = cts("retry", "web")
    assert (result.exit_code, lines(result.stderr)) == (
        2,
        ["cts: task 'web' has nothing to retry: its last run did not fail"],
    )


@pytest.mark.parametrize("command", ["release", "retry", "run", "inspect", "upgrade-terraform"])
def test_an_unknown_task_is_told(account: Account, command: str) -> None:
    result = cts(command, "db")
    assert result.exit_code == 2
    said = "cts: a task with name 'db' does not exist or has not been initialized yet: "
    assert lines(result.stderr) == [f"{said}`cts status` lists the tasks"]


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize(("run", "code"), [(applied(), 0), (errored(), 1)])
def test_who_waits_sees_the_log_and_the_end(
    account: Account, command: str, run: Run, code: int
) -> None:
    account.world.ran(asked(run), applied("web", 2))
    account.world.write_log(run, "Plan: 1 to add\n")
    result = cts(command, "web", "--wait")
    assert (result.exit_code, lines(result.stdout)) == (code, ["Plan: 1 to add"])
    assert run.id in result.stderr


def test_scripts_get_json(account: Account) -> None:
    found = json.loads(cts("run", "web", "--json").stdout)
    assert (found["task"], found["asked"]["id"], found["asked"]["by"]) == ("web", "r-1", ANN)
    account.world.ran(asked(applied()))
    waited = json.loads(cts("run", "web", "--wait", "--json").stdout)
    assert (waited["status"], waited["request"]) == ("applied", "r-1")


@pytest.fixture
def three(account: Account) -> Account:
    """Besides the first task one that is held, one that is disabled, and one more."""
    account.world.add(TaskState("api"))
    account.world.add(TaskState("held"))
    account.world.add(TaskState("off"), enabled=False)
    account.world.read_services("api", "held", "off")
    assert cts("hold", "held", "--why", WHY).exit_code == 0
    return account


def test_all_tasks_that_may_run_are_run(three: Account) -> None:
    result = cts("run", "--all")
    assert (result.exit_code, lines(result.stdout)) == (
        0,
        ["✓ asked for 2 runs: `cts status` shows them"],
    )
    assert result.stderr == "left out, because disabled or held: held, off\n"
    assert {each.task for each in three.bus.of(TaskTriggered)} == {"api", "web"}
    found = json.loads(cts("run", "--all", "--json").stdout)
    assert (sorted(found["asked"]), found["left_out"]) == (["api", "web"], ["held", "off"])


@pytest.mark.parametrize(("run", "code"), [(applied("api"), 0), (errored("api"), 1)])
def test_the_end_of_all_runs_is_waited_for(three: Account, run: Run, code: int) -> None:
    three.world.ran(asked(run), asked(applied("web")))
    result = cts("run", "--all", "--wait")
    assert result.exit_code == code
    assert f"{2 - code} succeeded, {code} failed" in result.stderr
    assert "waiting for 0" not in result.stderr
    found = json.loads(cts("run", "--all", "--wait", "--json").stdout)
    assert found["runs"]["api"]["id"] == run.id


@pytest.mark.parametrize("options", [[], ["--wait"]])
def test_without_a_task_that_may_run_nothing_is_waited_for(
    account: Account, options: list[str]
) -> None:
    cts("hold", "web", "--why", WHY)
    result = cts("run", "--all", *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert lines(result.stderr) == ["no task to run", "left out, because disabled or held: web"]


def test_runs_that_do_not_end_are_named(three: Account) -> None:
    three.world.ran(asked(applied("web")))
    result = cts("run", "--all", "--wait")
    assert (result.exit_code, "have not ended: api" in result.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["run"], ["run", "web", "--all"]])
def test_a_run_is_of_one_task_or_of_all(account: Account, arguments: list[str]) -> None:
    assert cts(*arguments).exit_code == 2


def test_a_run_that_does_not_begin_is_told(account: Account) -> None:
    result = cts("run", "web", "--wait")
    assert (result.exit_code, "has not begun" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("version", "said"),
    [("1.12.2", "terraform 1.12.2"), ("", "the version that a new task would get")],
)
def test_a_task_is_upgraded_from_its_next_run_on(account: Account, version: str, said: str) -> None:
    result = cts("upgrade-terraform", "web", *filter(None, [version]))
    assert lines(result.stdout) == [f"✓ web: {said}, from its next run on"]


def test_a_version_that_is_none_is_a_sentence(account: Account) -> None:
    result = cts("upgrade-terraform", "web", "newest")
    assert (result.exit_code, lines(result.stderr)) == (
        2,
        ['cts: "newest" is not a single version: write it as "1.9.8"'],
    )


@pytest.mark.parametrize(("options", "place"), [((), "consul"), (("--back",), "stack")])
def test_a_state_is_moved(account: Account, options: tuple[str, ...], place: str) -> None:
    account.world.add(replace(account.world.table.state("web"), place=place))
    result = cts("state", "move", "web", *options)
    assert (result.exit_code, "its configuration says" in result.stderr) == (2, True)
    body = json.loads(account.requests[-1].content)
    assert body == {"to": "consul" if options else "stack"}


def test_a_run_says_who_asked_for_it(account: Account) -> None:
    account.world.ran(asked(applied()))
    said = lines(cts("runs", "show", "web").stdout)
    assert {"why asked for", f"by {ANN}"} <= {*said}
    assert "asked for" in cts("runs").stdout


def test_a_task_that_is_about_to_run_says_that_it_was_asked_for(account: Account) -> None:
    assert cts("run", "web").exit_code == 0
    assert any("about to run: asked for" in line for line in lines(cts("status").stdout))


def test_an_older_stack_is_told(account: Account) -> None:
    outputs = account.stacks["cts"]
    account.stacks["cts"] = {name: outputs[name] for name in outputs if name != "ApiUrl"}
    result = cts("hold", "web", "--why", WHY)
    assert (result.exit_code, "older than this command" in result.stderr) == (2, True)


def test_who_may_not_is_told_what_is_needed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"Message": "Forbidden"})

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(answer))
    result = cts("run", "web")
    assert result.exit_code == 2
    assert "the API refused the request (Forbidden)" in " ".join(lines(result.stderr))


def test_the_body_is_signed(account: Account) -> None:
    signatures = set()
    for why in ("one", "two"):
        cts("hold", "web", "--why", why)
        cts("release", "web")
        held, _ = account.requests[-2:]
        signatures.add(held.headers["authorization"].rpartition("Signature=")[2])
    assert len(signatures) == 2
