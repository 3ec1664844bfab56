"""A scheduled task from poller to tracker: what its ticks start, and what is told of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cts.conditions import services
from cts.conditions.condition import Condition
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import ServicesCondition, service_row
from cts.errors import Unavailable
from cts.events import RunFinished, RunStarted, TaskTriggered
from cts.generation import TaskEntry
from cts.run.state import Reason
from cts.terraform.definition import Definition, Module
from cts.watch.lease import Lease
from cts.watch.query import View
from cts.watch.snapshot import of
from cts.watch.view import Answer
from cts.workflow.poll import Poller, PollPorts
from cts.workflow.start import StartOutcome
from tests.fake_consul import instance
from tests.fakes import Counter, before_next, failing
from tests.unit.system import System

WEB = View(services.SERVICE, "web")
START = datetime(2026, 3, 1, 9, 59, tzinfo=UTC).timestamp()
TEN, ELEVEN = START + 60, START + 3660
AT_TEN = "schedule-2026-03-01T10:00:00.000Z"


class World(System):
    """A task that runs every hour with the service `web`, and a poller that holds the watch."""

    def __init__(self, cron: str = "0 * * * *") -> None:
        super().__init__()
        self.clock.now = START
        self.configure(ScheduleCondition(cron))
        self.take_over()
        self.web(1)
        self.runs()

    def configure(self, condition: Condition, *, enabled: bool = True) -> None:
        inputs = (ServicesCondition(("web",)),)
        definition = Definition("web", Module("./m"), condition, inputs=inputs)
        self.bucket.put_definition(definition)
        self.tasks["web"] = TaskEntry(definition.digest, condition, enabled=enabled, inputs=inputs)
        self.publish()

    def take_over(self) -> None:
        """By a poller, which derives the task again."""
        assert self.table.live is not None
        ports = PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=self.clock,
            new_id=Counter().new_id,
        )
        self.poller = Poller(ports, self.bucket.generation(self.table.live))
        read = self.table.lease()
        epoch = read.epoch + 1 if read else 1
        assert self.poller.raise_epoch(read, Lease(epoch, "me", 1, 0, 0, 0))
        self.poller.load()
        self.poller.look({}, derive_all=True)

    def web(self, *ports: int) -> None:
        rows = [service_row(instance("web", port, Port=port)) for port in ports]
        self.poller.look({WEB: Answer(sum(ports), of(rows))})
        self.poller.announce()

    def runs(self, status: str = "applied") -> None:
        assert self.start("web") is StartOutcome.STARTED
        run = self.running("web")
        self.begins(run)
        self.result(run, status)
        self.ends(run)

    @property
    def tick(self) -> float | None:
        wish = self.table.state("web").wanted.get(Reason.SCHEDULE)
        return wish.due_at if wish else None

    def at(self, now: float) -> "World":
        self.clock.now = now
        return self


def test_the_first_run_is_for_the_definition() -> None:
    [started] = World().bus.of(RunStarted)
    assert started.why == ["change"]


def test_changed_data_triggers_nothing_before_the_tick() -> None:
    world = World()
    world.bus.events.clear()
    world.web(1, 2)
    assert world.start("web") is StartOutcome.NOT_DUE
    assert world.triggered == []
    assert world.poller.next_due == TEN


def test_at_the_tick_the_poller_announces_it_and_the_run_tells_why() -> None:
    world = World()
    world.web(1, 2)
    world.bus.events.clear()
    world.at(TEN).poller.announce()
    assert world.bus.of(TaskTriggered) == [TaskTriggered("web", AT_TEN)]
    world.runs()
    [started] = world.bus.of(RunStarted)
    [finished] = world.bus.of(RunFinished)
    assert (started.why, started.correlation_id, started.attempt) == (["schedule"], AT_TEN, 1)
    assert (finished.why, finished.changed_at) == (["schedule"], "2026-03-01T10:00:00.000Z")
    assert world.tick == ELEVEN


def test_a_poller_announces_tick_after_tick_without_reading_states() -> None:
    world = World("*/10 * * * *")
    world.bus.events.clear()
    for tick in (TEN, TEN + 600, TEN + 1200):
        assert world.poller.next_due == tick
        world.at(tick).poller.announce()
    assert len(world.triggered) == 3


def test_a_poller_that_could_not_send_sends_the_tick_again() -> None:
    world = World()
    world.at(TEN)
    with failing(world.bus, "send", Unavailable("no bus")), pytest.raises(Unavailable):
        world.poller.announce()
    assert world.triggered[1:] == []
    world.poller.announce()
    assert world.triggered[1:] == ["web"]


def test_after_its_last_tick_a_poller_has_nothing_to_announce() -> None:
    world = World("0 0 10 1 3 * 2026")
    world.at(TEN).poller.announce()
    assert world.poller.next_due is None


def test_the_sweep_announces_a_tick_that_no_poller_did() -> None:
    world = World()
    world.web(1, 2)
    world.bus.events.clear()
    world.at(TEN - 1).sweep()
    assert world.triggered == []
    world.at(TEN + 30).sweep()
    assert world.bus.of(TaskTriggered) == [TaskTriggered("web", AT_TEN)]


def test_a_tick_without_new_data_leaves_no_run_and_no_event() -> None:
    world = World()
    runs, recent = dict(world.table.stored_runs), world.table.state("web").recent
    world.bus.events.clear()
    assert world.at(TEN).start("web") is StartOutcome.DONE_ALREADY
    assert world.table.stored_runs == runs
    assert world.table.state("web").recent == recent
    assert world.bus.events == []
    assert world.tick == ELEVEN


def test_a_retry_keeps_the_correlation_and_counts() -> None:
    world = World()
    world.web(1, 2)
    world.at(TEN).runs("errored")
    retry_at = world.table.state("web").retry_at
    assert retry_at is not None
    world.at(retry_at).runs()
    _, first, second = world.bus.of(RunStarted)
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.correlation_id == second.correlation_id == AT_TEN


def test_the_next_tick_is_a_first_attempt() -> None:
    world = World()
    world.web(1, 2)
    world.at(TEN)
    for _ in range(5):
        world.runs("errored")
        world.at(world.table.state("web").retry_at or ELEVEN)
    assert world.clock() == ELEVEN
    world.runs()
    assert [each.attempt for each in world.bus.of(RunStarted)] == [1, 1, 2, 3, 4, 5, 1]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_new_timetable_counts_from_now(*, enabled: bool) -> None:
    world = World()
    world.configure(ScheduleCondition("30 * * * *"), enabled=enabled)
    world.take_over()
    assert world.tick == TEN + 1800


def test_a_task_that_is_no_longer_scheduled_has_no_tick() -> None:
    world = World()
    world.configure(ServicesCondition(("web",)))
    world.take_over()
    assert world.tick is None
    world.runs()
    world.configure(ScheduleCondition("0 * * * *"))
    world.take_over()
    assert world.tick == TEN


def test_an_enabled_task_does_not_make_up_for_ticks() -> None:
    world = World()
    condition = ScheduleCondition("0 * * * *")
    world.configure(condition, enabled=False)
    world.take_over()
    world.web(1, 2)
    world.at(ELEVEN + 1800).sweep()
    assert world.start("web") is StartOutcome.NOT_DUE
    world.configure(condition)
    world.take_over()
    assert world.start("web") is StartOutcome.NOT_DUE
    assert world.tick == ELEVEN + 3600


def test_a_task_that_is_disabled_while_it_waits_for_a_slot_does_not_make_up_for_its_tick() -> None:
    world = World()
    condition = ScheduleCondition("0 * * * *")
    world.web(1, 2)
    world.table.held_slots = {f"other-{n}" for n in range(5)}
    assert world.at(TEN).start("web") is StartOutcome.QUEUED
    world.configure(condition, enabled=False)
    world.take_over()
    assert world.table.state("web").queued_since is None
    world.table.held_slots.clear()
    world.at(ELEVEN + 1800).configure(condition)
    world.take_over()
    assert world.start("web") is StartOutcome.NOT_DUE
    assert world.tick == ELEVEN + 3600


@pytest.mark.parametrize("free", [True, False], ids=["a-slot-is-free", "no-slot-is-free"])
def test_after_an_outage_the_newest_tick_counts(*, free: bool) -> None:
    world = World()
    world.web(1, 2)
    world.at(ELEVEN + 60)
    if not free:
        world.table.held_slots = {f"other-{n}" for n in range(5)}
        assert world.start("web") is StartOutcome.QUEUED
        world.table.held_slots.clear()
        world.at(ELEVEN + 1800)
    world.runs()
    assert world.bus.of(RunStarted)[-1].correlation_id == "schedule-2026-03-01T11:00:00.000Z"
    assert world.tick == ELEVEN + 3600


def test_a_missed_tick_gives_way_only_if_nothing_else_was_written() -> None:
    world = World()
    world.web(1, 2)
    world.at(ELEVEN + 60)
    before_next(world.table, "put_state", lambda: world.ask("web"))
    assert world.start("web") is StartOutcome.BUSY
    assert world.tick == TEN


def test_a_tick_is_kept_until_its_data_can_be_read() -> None:
    world = World()
    world.web(1, 2)
    chunks = world.table.stored_chunks
    world.table.stored_chunks = {name: replace(each, rows={}) for name, each in chunks.items()}
    assert world.at(TEN).start("web") is StartOutcome.NOT_READ
    assert world.tick == TEN
    world.table.stored_chunks = chunks
    world.runs()
