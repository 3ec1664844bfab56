"""How a run's end is recorded and announced, whoever writes in between."""

from dataclasses import replace

import pytest

from cts.errors import Unavailable
from cts.events import RunFinished
from cts.run.model import End, Run, RunStatus
from cts.run.state import Reason, TaskState
from cts.workflow import settle
from tests.fakes import before_next, failing
from tests.unit.system import System, system

APPLIED = End(RunStatus.APPLIED, apply_began=True)
FAILED = End(RunStatus.ERRORED, apply_began=True, error="quota reached", retryable=False)


def settled(world: System, run: Run, end: End) -> Run | None:
    return settle.settle(world.start_ports.settling, run, end, world.table.state(run.task))


def test_a_state_written_in_between_is_read_again() -> None:
    world = system()
    run = world.started()
    before_next(world.table, "settle", lambda: world.ask("web"))
    assert settled(world, run, APPLIED) == world.table.stored_runs[run.id]
    after = world.table.state("web")
    assert (after.running, len(after.wanted), after.unannounced) == (None, 1, ())
    assert settled(world, run, APPLIED) is None


def test_what_could_not_be_sent_stays_on_the_list() -> None:
    world = system()
    run = world.started()
    down = Unavailable("the bus is down")
    with failing(world.bus, "send", down), pytest.raises(Unavailable):
        settled(world, run, APPLIED)
    assert world.table.stored_runs[run.id].status is RunStatus.APPLIED
    assert world.table.state("web").unannounced == (f"{run.id}/RunFinished",)


def test_what_could_not_be_sent_is_sent_with_the_next_end() -> None:
    world = system()
    first = world.started()
    down = Unavailable("the bus is down")
    with failing(world.bus, "send", down), pytest.raises(Unavailable):
        settled(world, first, APPLIED)
    world.web(80, 81)
    second = world.started()
    settled(world, second, FAILED)
    told = [(each.run_id, each.status) for each in world.bus.of(RunFinished)]
    assert told == [(first.id, "applied"), (second.id, "errored")]
    assert world.table.state("web").unannounced == ()


@pytest.mark.parametrize("fails", ["sending", "clearing"])
def test_a_failed_run_is_counted_whatever_is_lost(fails: str) -> None:
    """Its end was written by one function; another one sends, counts and clears it."""
    world = system()
    run = world.started()
    down = Unavailable("gone")
    target, method = (world.bus, "send") if fails == "sending" else (world.table, "put_state")
    with failing(target, method, down), pytest.raises(Unavailable):
        settled(world, run, FAILED)
    for _ in range(3):
        world.sweep()
    times = 1 if fails == "sending" else 2  # once more for what died between sending and clearing
    assert world.metrics.counted["RunsFailed"] == [1] * times
    assert len(world.bus.of(RunFinished)) == times


def test_a_run_that_ended_once_is_counted_once() -> None:
    world = system()
    run = world.started()
    world.clock.now += 30
    settled(world, run, APPLIED)
    world.sweep()
    assert world.metrics.counted["RunsSucceeded"] == [1]
    assert world.metrics.counted["RunSeconds"] == [30.0]
    assert "RunsFailed" not in world.metrics.counted


def test_giving_up_is_told_with_its_reason() -> None:
    world = system()
    settled(world, world.started(), FAILED)
    [told] = world.bus.of(RunFinished)
    assert (told.status, told.error, told.retry_at) == ("errored", "quota reached", None)
    assert told.gave_up == world.table.state("web").gave_up
    assert told.gave_up


def test_only_the_first_of_two_who_give_up_decides() -> None:
    world = system()
    run = world.started()
    ports = world.start_ports.settling
    assert settle.give_up(ports, world.driver, run, None)
    assert not settle.give_up(ports, world.driver, run, FAILED)
    assert world.table.stored_runs[run.id].status is RunStatus.CANCELED


def test_undoing_twice_is_undoing_once() -> None:
    world = system()
    run = world.started()
    ports = world.start_ports.settling
    settle.give_up(ports, world.driver, run, None)
    before = world.table.state("web")
    settle.given_up(ports, run, None)
    assert world.table.state("web") == before


def test_an_announcement_whose_run_has_expired_is_dropped() -> None:
    world = system()
    run = world.started()
    settled(world, run, APPLIED)
    world.bus.events.clear()
    del world.table.stored_runs[run.id]
    world.put(TaskState("other", unannounced=(f"{run.id}/RunFinished",)))
    settle.announce(ports := world.start_ports.settling, ports.tasks.state("other"))
    assert world.table.state("other").unannounced == ()
    assert world.bus.of(RunFinished) == []


def test_sending_what_is_unannounced_keeps_what_others_wrote() -> None:
    world = system()
    run = world.started()
    settled(world, run, APPLIED)
    read = world.table.state("web")
    world.put(replace(read, unannounced=(f"{run.id}/RunFinished",)))
    read = world.table.state("web")
    world.ask("web")
    settle.announce(world.start_ports.settling, read)
    after = world.table.state("web")
    assert (after.unannounced, len(after.wanted)) == ((), 1)


def test_a_busy_run_is_announced_with_its_next_try_and_not_counted_as_failed() -> None:
    world = system()
    run = world.started()
    locked = End(RunStatus.BUSY, apply_began=False, error="the state is locked by a@b")
    settled(world, run, locked)
    [told] = world.bus.of(RunFinished)
    assert (told.status, told.error, told.gave_up) == ("busy", "the state is locked by a@b", None)
    row = world.table.stored_runs[run.id]
    assert row.retry_at == world.table.state("web").wanted[Reason.CHANGE].due_at
    assert row.retry_at >= world.clock() + 60
    assert not {"RunsFailed", "RunsSucceeded"} & set(world.metrics.counted)
    assert world.metrics.counted["RunsBusy"] == [1]
