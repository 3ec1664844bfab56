"""Plans and holds in the whole system: what runner and tracker do with them."""

import io
import json
import zipfile
from dataclasses import replace
from typing import Any

from cts.events import RunFinished, RunStarted, TaskHeld, TaskReleased
from cts.run.model import Run, RunStatus
from cts.run.person import ask, hold, release
from cts.run.state import Reason
from cts.workflow.start import StartOutcome
from tests.unit.system import System, system

ANN = "arn:aws:iam::111122223333:user/ann"


def inspected(world: System, status: str = "planned", **result: object) -> Run:
    """A run that a person asked for to see the plan, after its end."""
    world.put(ask(world.table.state("web"), world.clock(), "r-1", ANN, Reason.INSPECT))
    assert world.start("web") is StartOutcome.STARTED
    run = world.running("web")
    world.begins(run)
    world.result(run, status, **result)
    world.ends(run)
    return world.table.stored_runs[run.id]


def facts(world: System, run: Run) -> dict[str, Any]:
    archive = world.bucket.run_object("web", run.id, "archive.zip")
    with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
        read: dict[str, Any] = json.loads(made.read("run.json"))
    return read


def test_the_build_of_a_plan_is_told_to_plan_only() -> None:
    world = system()
    assert facts(world, inspected(world))["inspect"] is True
    assert facts(world, world.started())["inspect"] is False


def test_a_run_says_who_asked_for_it_and_with_which_request() -> None:
    world = system()
    run = inspected(world)
    assert (run.by, run.request, run.why) == (ANN, "r-1", ("inspect",))
    assert [event.by for event in world.bus.of(RunStarted)] == [ANN]
    assert [event.by for event in world.bus.of(RunFinished)] == [ANN]


def test_a_plan_marks_nothing_as_done() -> None:
    world = system()
    run = inspected(world, counts={"add": 1, "change": 0, "destroy": 0})
    assert run.status is RunStatus.PLANNED
    assert run.end is not None
    assert run.end.counts == {"add": 1, "change": 0, "destroy": 0}
    state = world.table.state("web")
    assert (state.done, state.recent, state.wanted) == (None, (), {})
    assert world.started().why == ("change",)  # what was not done is wanted as before


def test_a_plan_that_failed_is_nobodys_alarm() -> None:
    world = system()
    run = inspected(world, "errored", error="no such host", retryable=True)
    assert (run.status, run.retry_at, run.gave_up) == (RunStatus.ERRORED, None, None)
    assert world.metrics.counted == {}
    assert world.table.state("web").failures == 0


def test_a_held_task_is_planned_and_not_applied() -> None:
    world = system()
    world.observe("web")
    world.put(hold(world.table.state("web"), "why", ANN, world.clock()))
    assert world.start("web") is StartOutcome.NOT_DUE
    assert inspected(world).status is RunStatus.PLANNED
    world.put(release(world.table.state("web"), ANN, world.clock()))
    assert world.start("web") is StartOutcome.STARTED


def test_the_sweep_tells_of_holds_and_releases() -> None:
    world = system()
    world.put(hold(world.table.state("web"), "why", ANN, 1000.0))
    world.put(release(world.table.state("web"), ANN, 1001.0))
    world.sweep()
    world.sweep()
    held, released = "1970-01-01T00:16:40.000Z", "1970-01-01T00:16:41.000Z"
    told = [TaskHeld(f"web-{held}/TaskHeld", "web", "why", ANN, held)]
    assert world.bus.of(TaskHeld) == told
    assert world.bus.of(TaskReleased) == [
        TaskReleased(f"web-{held}/TaskReleased", "web", "why", ANN, held, ANN, released)
    ]
    assert world.table.state("web").unannounced == ()


def test_what_a_newer_version_announces_of_a_hold_is_left_out() -> None:
    world = system()
    state = hold(world.table.state("web"), "why", ANN, 1000.0)
    known = state.unannounced[0].removesuffix("TaskHeld")
    world.put(replace(state, unannounced=(f"{known}TaskWatched", "web-gone/TaskHeld")))
    world.sweep()
    assert not world.bus.of(TaskHeld)
    assert world.table.state("web").unannounced == ()
