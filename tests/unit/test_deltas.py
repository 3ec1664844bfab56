"""A run's delta: its inputs against those of the last successful run."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from cts import keys
from cts.conditions.services import SERVICE, service_row
from cts.errors import Altered, Unavailable, Unreadable
from cts.run.model import Run
from cts.run.state import Outcome, TaskState
from cts.run.status import last_success
from cts.watch.query import View
from cts.watch.snapshot import Snapshot, of
from cts.workflow.delta_record import OBJECT, recorded
from cts.workflow.deltas import MOST_COMPARED, NO_NAME
from cts.workflow.start import StartOutcome
from tests.fake_consul import instance
from tests.fakes import failing
from tests.unit.system import LISTING, WEB, System, system


class Delta(NamedTuple):
    former: str
    came: int
    left: int
    changed: int
    unknown: int


def ran(world: System, *ports: int, status: str = "applied") -> Delta:
    """The task's next run, on these instances of `web`."""
    world.web(*ports)
    return finished(world, status)


def finished(world: System, status: str = "applied") -> Delta:
    run = world.started()
    world.begins(run)
    world.write(run, "applying", {})
    world.result(run, status, retryable=False)
    world.ends(run, "SUCCEEDED" if status == "applied" else "FAILED")
    return delta_of(world, run)


def delta_of(world: System, run: Run) -> Delta:
    found = recorded(world.bucket, run)
    assert found
    del found["first"]
    return Delta(**found)


def listed(world: System) -> list[tuple[str, str, str]]:
    """What the latest run lists."""
    found = recorded(world.bucket, world.table.runs("web", 1)[0])
    assert found
    return [(each["view"], each["what"], each["name"]) for each in found["first"]]


def test_in_the_first_run_all_is_new() -> None:
    world = system()
    assert ran(world, 80, 81) == Delta("", came=2, left=0, changed=0, unknown=0)
    assert listed(world) == [
        ("service web", "came", "node-80/web-80"),
        ("service web", "came", "node-81/web-81"),
    ]


def test_a_run_tells_who_came_and_who_left_since_the_last_success() -> None:
    world = system()
    ran(world, 80, 81)
    first = world.table.runs("web", 1)[0].id
    world.clock.now += 60
    assert ran(world, 81, 82, 83) == Delta(first, came=2, left=1, changed=0, unknown=0)
    assert ("service web", "left", "node-80/web-80") in listed(world)


def test_a_failed_run_is_not_what_the_next_is_compared_with() -> None:
    world = system()
    ran(world, 80)
    first = world.table.runs("web", 1)[0].id
    world.clock.now += 60
    ran(world, 81, status="errored")
    assert world.table.state("web").done is None
    world.clock.now += 60
    assert ran(world, 82) == Delta(first, came=1, left=1, changed=0, unknown=0)


def test_a_former_snapshot_that_expired_is_unknown_and_not_guessed() -> None:
    world = system()
    ran(world, 80)
    first = world.table.runs("web", 1)[0]
    del world.bucket.objects[keys.snapshot(WEB.id, first.inputs[WEB.id])]
    world.clock.now += 60
    assert ran(world, 81) == Delta(first.id, came=0, left=0, changed=0, unknown=1)
    assert listed(world) == [("service web", "unknown", "")]


def test_a_former_run_whose_row_expired_is_unknown() -> None:
    world = system()
    ran(world, 80)
    [(first, _)] = world.table.stored_runs.items()
    world.table.stored_runs.clear()
    world.clock.now += 60
    assert ran(world, 81) == Delta(first, came=0, left=0, changed=0, unknown=1)


def test_a_former_run_whose_row_can_not_be_read_is_unknown_and_the_run_begins() -> None:
    world = system()
    ran(world, 80)
    world.web(81)
    world.clock.now += 60
    with failing(world.table, "run", Unreadable("reading the row")):
        delta = delta_of(world, world.started())
    assert (delta.came, delta.unknown) == (0, 1)


@pytest.mark.parametrize("error", [Unavailable("slow"), Altered("views/x", "it differs")])
def test_what_can_not_be_read_is_unknown_and_the_run_begins(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = system()
    ran(world, 80)
    former = of([service_row(instance("web", 80, Port=80))]).digest
    read = world.bucket.get

    def get(view: str, digest: str) -> Snapshot | None:
        if digest == former:
            raise error
        return read(view, digest)

    monkeypatch.setattr(world.bucket, "get", get)
    world.web(81)
    world.clock.now += 60
    delta = delta_of(world, world.started())
    assert (delta.came, delta.unknown) == (0, 1)


def matched(*names: str) -> System:
    """A task on all services whose names begin with `w`, each with an instance."""
    world = System()
    world.task("web", regexp="^w")
    catalog(world, *names)
    return world


def catalog(world: System, *names: str) -> None:
    world.store(LISTING, [*names])
    for name in names:
        world.store(View(SERVICE, name), [service_row(instance(name))])


def test_a_service_that_is_gone_is_told_by_its_name() -> None:
    """Its view is no longer one of the task's: the former run has recorded what it was."""
    world = matched("web", "worker")
    finished(world)
    catalog(world, "web")
    world.clock.now += 60
    delta = finished(world)
    assert (delta.came, delta.left, delta.unknown) == (0, 1, 0)
    assert listed(world) == [("service worker", "left", "node-1/worker-1")]


def test_a_service_that_is_gone_without_a_record_is_unknown() -> None:
    world = matched("web", "worker")
    finished(world)
    del world.bucket.objects[keys.run_object("web", world.table.runs("web", 1)[0].id, OBJECT)]
    catalog(world, "web")
    world.clock.now += 60
    assert finished(world).unknown == 1
    assert listed(world) == [(NO_NAME, "unknown", "")]


def test_a_service_that_is_new_has_come() -> None:
    world = matched("web")
    finished(world)
    catalog(world, "web", "worker")
    world.clock.now += 60
    finished(world)
    assert listed(world) == [("service worker", "came", "node-1/worker-1")]


def test_no_run_waits_for_many_former_snapshots() -> None:
    names = [f"w{n}" for n in range(MOST_COMPARED + 7)]
    world = matched(*names)
    finished(world)
    for name in names:
        world.store(View(SERVICE, name), [service_row(instance(name, Port=9))])
    world.clock.now += 60
    delta = finished(world)
    assert (delta.changed, delta.unknown) == (MOST_COMPARED, 7)


def test_inputs_that_the_former_row_leaves_out_are_unknown() -> None:
    world = matched("web", "worker")
    finished(world)
    [(name, run)] = world.table.stored_runs.items()
    kept = dict(sorted(run.inputs.items())[:1])
    world.table.stored_runs[name] = replace(run, inputs=kept, more_inputs=1)
    world.clock.now += 60
    world.ask("web")
    assert world.start("web") is StartOutcome.STARTED
    delta = delta_of(world, world.running("web"))
    assert (delta.came, delta.unknown) == (0, 1)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [("", ""), ("ff", ""), ("fs", "1"), ("sfs", "0"), ("fffff", None)],
)
def test_the_last_success(outcomes: str, expected: str | None) -> None:
    recent = tuple(Outcome(str(n), each == "s", 0.0) for n, each in enumerate(outcomes))
    assert last_success(TaskState("web", recent=recent)) == expected
