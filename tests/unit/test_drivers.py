"""Another driver, through the registry alone: its tasks run, and what it does not do is left."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cts.config import compile as compiler
from cts.errors import Unavailable
from cts.events import ApprovalNeeded, RunFinished
from cts.run.model import End, Run, RunStatus
from cts.run.news import GivenUp, GoesOn, HasEnded, Heard, NeverBegan, News, NotStarted
from cts.settings import Hcp, Store, Tracked, Warm
from cts.wiring import drivers
from cts.workflow.start import StartOutcome
from cts.workflow.track import NEWS_AFTER
from tests.fakes import failing
from tests.unit.system import System

STORE = Store(table="t", work_bucket="w", bus="b", run_days=90)
WARM = Warm("executor", 900.0, 4_000_000_000)
TRACKED = Tracked("p", "role", 5, Hcp("https://app.terraform.io", "", "arn"), WARM)
WAITS = {"asks": "waits for a decision: {}", "locked": "waits for ann, who has locked it"}
STATUSES = {"applied": RunStatus.APPLIED, "errored": RunStatus.ERRORED}


class Toy:
    """Runs are created, queued, planned and applied, or discarded, elsewhere and without records:
    it knows itself what became of them."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        """Run id -> its word for it."""
        self.stopped: dict[str, End | None] = {}

    def start(self, run: Run, archive: bytes) -> str:
        assert archive
        self.runs.setdefault(run.id, "queued")
        return f"toy/{run.id}"

    def heard(self, event: Mapping[str, Any]) -> Heard | None:
        if "toy" not in event:
            return None
        return Heard(task=event["task"], run=event["toy"], told=event["word"])

    def news(self, run: Run, heard: Heard | None = None) -> News:
        build = f"toy/{run.id}"
        if run.id in self.stopped:
            return GivenUp(end=self.stopped[run.id])
        match heard.told if heard else self.runs.get(run.id):
            case None:
                return NotStarted(archive=b"1")
            case "discarded":
                error = f"{build} was discarded"
                end = End(RunStatus.ERRORED, apply_began=False, error=error, retryable=False)
                return NeverBegan(end=end, build=build)
            case "applied" | "errored" as word:
                return HasEnded(end=End(STATUSES[word], apply_began=True), build=build)
            case word:
                return GoesOn(waits=WAITS.get(word, "").format(build), approval=word == "asks")

    def stop(self, run: Run, end: End | None) -> bool:
        if run.id in self.stopped or self.runs.get(run.id) == "planned":
            return False
        self.stopped[run.id] = end
        return True


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy()
    monkeypatch.setitem(drivers.DRIVERS, "toy", lambda _store, _builds: made)
    return made


def world_of(name: str) -> System:
    """One task that this driver runs, on the drivers that are registered."""
    world = System()
    world.drivers |= drivers.drivers(STORE, TRACKED) | world.drivers
    world.task("web", driver=name)
    world.web(80)
    return world


def test_the_drivers_of_this_version() -> None:
    found = {name: driver.start for name, driver in drivers.drivers(STORE, TRACKED).items()}
    kinds = {name: start.__qualname__ for name, start in found.items()}
    assert kinds == {
        "terraform": "CodeBuild.start",
        "executor": "Executor.start",
        "terraform-cloud": "HcpTerraform.start",
    }


def test_a_task_of_another_driver_runs_to_its_end(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    assert (run.driver, run.build, toy.runs) == ("toy", f"toy/{run.id}", {run.id: "queued"})
    assert world.driver.builds == {}
    for word in ("planned", "applying"):
        assert world.hears({"toy": run.id, "task": "web", "word": word}).settled == []
    report = world.hears({"toy": run.id, "task": "web", "word": "applied"})
    assert [each.status for each in report.settled] == [RunStatus.APPLIED]
    state = world.table.state("web")
    assert state.done is not None
    assert (state.done.run, state.running, world.table.slots()) == (run.id, None, frozenset())
    [told] = world.bus.of(RunFinished)
    assert (told.run_id, told.status) == (run.id, "applied")


def test_the_sweep_asks_it_for_what_it_did_not_tell(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    world.clock.now += NEWS_AFTER
    assert world.sweep().settled == []
    toy.runs[run.id] = "errored"
    [settled] = world.sweep().settled
    assert (settled.status, settled.build) == (RunStatus.ERRORED, f"toy/{run.id}")


def test_a_run_that_needs_an_approval_says_so_once_and_where(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    world.hears({"toy": run.id, "task": "web", "word": "asks"})
    [told] = world.bus.of(ApprovalNeeded)
    assert (told.id, told.run_id) == (f"{run.id}/ApprovalNeeded", run.id)
    assert (told.url, told.correlation_id) == (f"toy/{run.id}", "why")
    assert told.delta is not None
    assert told.delta["came"] == 1
    toy.runs[run.id] = "asks"
    world.clock.now += NEWS_AFTER
    for _ in range(2):
        world.sweep()
    state = world.table.state("web")
    assert state.running is not None
    assert (
        state.running.waits == world.running("web").waits == f"waits for a decision: toy/{run.id}"
    )
    assert (state.unannounced, world.table.slots()) == ((), frozenset())
    assert len(world.bus.of(ApprovalNeeded)) == 1
    toy.runs[run.id] = "planned"
    world.sweep()
    assert (world.running("web").waits, world.table.state("web").running) == (
        "",
        replace(state.running, waits=""),
    )


def test_a_run_that_waits_for_something_else_needs_no_approval(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    toy.runs[run.id] = "locked"
    world.clock.now += NEWS_AFTER
    world.sweep()
    state = world.table.state("web")
    assert state.running is not None
    assert state.running.waits == "waits for ann, who has locked it"
    assert world.bus.of(ApprovalNeeded) == []


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("table", "put_state"),
        ("table", "record_build"),
        ("table", "free_slot"),
        ("table", "run"),
        ("table", "state"),
        ("bucket", "run_object"),
        ("bus", "send"),
    ],
)
def test_an_approval_is_asked_for_whatever_fails(
    toy: Toy, port: str, method: str, *, late: bool
) -> None:
    """Each call fails once, before or after it was done."""
    world = world_of("toy")
    run = world.started()
    toy.runs[run.id] = "asks"
    world.clock.now += NEWS_AFTER
    target = getattr(world, port)
    real = getattr(target, method)

    def fails_once(*arguments: Any) -> Any:
        setattr(target, method, real)
        if late:
            real(*arguments)
        raise Unavailable("it fails")

    setattr(target, method, fails_once)
    assert world.sweep().errors
    world.sweep()
    assert {each.id for each in world.bus.of(ApprovalNeeded)} == {f"{run.id}/ApprovalNeeded"}
    state = world.table.state("web")
    assert state.running is not None
    assert (
        state.running.waits == world.running("web").waits == f"waits for a decision: toy/{run.id}"
    )
    assert (state.unannounced, world.table.slots()) == ((), frozenset())


def test_an_approval_that_was_given_before_it_was_asked_for_is_not_asked_for(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    toy.runs[run.id] = "asks"
    world.clock.now += NEWS_AFTER
    with failing(world.bus, "send", Unavailable("busy")):
        world.sweep()
    assert world.table.state("web").unannounced == (f"{run.id}/ApprovalNeeded",)
    toy.runs[run.id] = "applied"
    world.sweep()
    assert world.bus.of(ApprovalNeeded) == []
    assert [each.status for each in world.bus.of(RunFinished)] == ["applied"]


def test_a_newer_change_ends_a_run_that_nobody_has_been_asked_about(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    toy.runs[run.id] = "asks"
    world.web(81)
    world.observe("web")
    world.clock.now += NEWS_AFTER
    world.sweep()
    assert toy.stopped == {run.id: None}
    assert world.table.state("web").running is None
    assert world.bus.of(ApprovalNeeded) == []


def test_what_it_never_began_is_stopped(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    toy.runs[run.id] = "discarded"
    world.clock.now += NEWS_AFTER
    [settled] = world.sweep().settled
    assert (settled.status, settled.build) == (RunStatus.ERRORED, f"toy/{run.id}")
    assert toy.stopped.keys() == {run.id}
    state = world.table.state("web")
    assert (state.running, state.recent[0].error) == (None, f"toy/{run.id} was discarded")
    assert world.table.slots() == frozenset()


def test_what_began_after_all_goes_on(toy: Toy) -> None:
    world = world_of("toy")
    run = world.started()
    toy.runs[run.id] = "planned"
    assert world.hears({"toy": run.id, "task": "web", "word": "discarded"}).settled == []
    assert world.running("web").id == run.id


def test_a_start_that_was_lost_is_made_up_for(toy: Toy) -> None:
    world = world_of("toy")
    world.observe("web")
    with failing(toy, "start", Unavailable("busy")), pytest.raises(Unavailable):
        world.start("web")
    run = world.running("web")
    world.clock.now += NEWS_AFTER
    assert world.sweep().restarted == [run.id]
    assert toy.runs == {run.id: "queued"}


def test_no_driver_tells_of_the_runs_of_another(toy: Toy) -> None:
    world = world_of("terraform")
    run = world.started()
    assert world.hears({"toy": run.id, "task": "web", "word": "applied"}).settled == []
    assert world.running("web").id == run.id
    assert toy.runs == {}


def test_a_task_whose_driver_is_not_known_is_left_to_a_newer_version() -> None:
    world = world_of("toy")
    world.observe("web")
    with pytest.raises(Unavailable, match='no driver "toy"'):
        world.start("web")
    state = world.table.state("web")
    assert (state.running, state.recent, len(state.wanted)) == (None, (), 1)
    assert world.table.slots() == frozenset()


@pytest.mark.parametrize("expired", [False, True])
def test_a_run_whose_driver_is_not_known_is_left_alone_and_told(toy: Toy, *, expired: bool) -> None:
    world = world_of("toy")
    world.task("other")
    run = world.started()
    if expired:
        del world.table.stored_runs[run.id]
    driver = world.drivers.pop("toy")
    world.observe("other")
    world.clock.now += 1e6
    report = world.sweep()
    assert (report.settled, report.triggered) == ([], ["other"])
    [error] = report.errors
    assert f'processing run {run.id}: this version of the program has no driver "toy"' in str(error)
    assert world.table.slots() == {run.id}
    world.drivers["toy"] = driver
    toy.runs[run.id] = "applied"
    assert [each.id for each in world.sweep().settled] == [run.id]
    assert world.start("other") is StartOutcome.STARTED


def test_a_configuration_names_the_driver_of_its_tasks() -> None:
    task = 'task { name = "web" module = "org/m/aws" condition "services" { names = ["web"] } }'
    for block, name in (("", "terraform"), (CLOUD, "terraform-cloud")):
        compiled = compiler.compile_bundle({"cts.hcl": f"{block}\n{task}".encode()}).compiled
        assert compiled is not None
        assert compiled.tasks["web"].driver == name


CLOUD = 'driver "terraform-cloud" { organization = "example" }'
