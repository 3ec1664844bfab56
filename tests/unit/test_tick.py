"""Ticks in the life of a scheduled task."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.run.due import due, next_due
from cts.run.model import End, RunStatus
from cts.run.person import ask
from cts.run.retry import FIRST_WAIT, MAX_RETRIES
from cts.run.state import Done, Reason, TaskState, Wish
from cts.run.task import Claimed, claim, finish, observe, queue, unclaim
from cts.run.tick import LATE, less_missed, scheduled

HOUR = 3600.0
HOURLY = "@hourly"
APPLIED = End(RunStatus.APPLIED, apply_began=True)
FAILED_EARLY = End(RunStatus.ERRORED, apply_began=False, error="no such host")
FAILED_HALF = End(RunStatus.ERRORED, apply_began=True, error="quota reached")
FINAL = End(RunStatus.ERRORED, apply_began=False, retryable=False)


@dataclass
class Task:
    """A task that runs every hour, as poller, runner and tracker treat it."""

    state: TaskState
    now: float = 0.0
    definition: str = "d"
    data: str = "1"
    timetable: str = HOURLY
    enabled: bool = True
    ends_at: float = 1e9
    """The timetable's last time."""
    runs: int = 0

    @property
    def inputs(self) -> str:
        return f"{self.definition}-{self.data}"

    @property
    def next_tick(self) -> float | None:
        return self.tick_after(self.now)

    def tick_after(self, at: float) -> float | None:
        tick = (at // HOUR + 1) * HOUR
        return tick if self.timetable and tick <= self.ends_at else None

    def at(self, now: float) -> "Task":
        self.now = now
        return self

    def seen(self) -> "Task":
        """A poller derives it."""
        state = observe(self.state, self.definition, self.now, None, "why")
        self.state = scheduled(state, self.timetable, self.next_tick)
        return self

    def started(self) -> tuple[Reason, ...]:
        """The runner is told that it is due: why a run is claimed; empty if none is."""
        if not due(self.state, self.enabled, self.now):
            return ()
        self.runs += 1
        run = f"web-{self.runs}"
        state = less_missed(self.state, self.now, self.tick_after(self.now - LATE))
        after = claim(state, run, self.definition, self.inputs, self.now, tick=self.next_tick)
        if isinstance(after, Claimed):
            self.state = after.state
            return after.why
        self.state = replace(after, queued_since=None)
        return ()

    def ended(self, end: End = APPLIED) -> "Task":
        assert self.state.running is not None
        self.state = finish(self.state, self.state.running.run, end, self.now, jitter=0.0)
        return self

    @property
    def tick(self) -> float | None:
        wish = self.state.wanted.get(Reason.SCHEDULE)
        return wish.due_at if wish else None


def ran(now: float = 100.0) -> Task:
    """It has had its first run."""
    task = Task(TaskState("web"), now).seen()
    assert task.started() == (Reason.CHANGE,)
    return task.ended()


def with_new_data(now: float = HOUR) -> Task:
    """Its data changed before this time."""
    task = ran().seen()
    task.data = "2"
    return task.seen().at(now)


TICK = (Reason.SCHEDULE,)


# ---- when it runs -------------------------------------------------------------------------


def test_it_runs_at_once_and_then_waits_for_its_time() -> None:
    task = ran()
    assert task.state.wanted == {
        Reason.SCHEDULE: Wish(HOUR, HOUR, "schedule-1970-01-01T01:00:00.000Z", HOURLY)
    }


def test_changed_data_waits_for_the_tick() -> None:
    task = with_new_data(HOUR - 1)
    assert task.started() == ()
    assert task.at(HOUR).started() == TICK
    assert task.tick == 2 * HOUR
    assert task.ended().seen().state.done == Done("web-2", "d", "d-2")


def test_a_run_at_its_time_is_told_apart_by_that_time() -> None:
    task = with_new_data(HOUR + 7)
    after = claim(task.state, "web-2", "d", "d-2", task.now, tick=2 * HOUR)
    assert isinstance(after, Claimed)
    assert (after.since, after.correlation) == (HOUR, "schedule-1970-01-01T01:00:00.000Z")


def test_unchanged_data_runs_nothing_and_the_next_tick_stands() -> None:
    task = ran().at(HOUR)
    assert task.started() == ()
    assert task.tick == 2 * HOUR
    assert task.state.running is None


def test_data_that_went_there_and_back_runs_nothing() -> None:
    task = with_new_data()
    task.data = "1"
    assert task.started() == ()


def test_a_tick_stands_until_the_runner_takes_it() -> None:
    assert with_new_data(HOUR + 60).seen().tick == HOUR


def test_a_changed_definition_does_not_wait() -> None:
    task = ran()
    task.definition = "e"
    assert task.seen().started() == (Reason.CHANGE,)
    assert task.tick == HOUR


def test_a_person_does_not_wait_and_leaves_the_tick() -> None:
    task = with_new_data(200.0)
    task.state = ask(task.state, 200.0, "person")
    assert task.started() == (Reason.PERSON,)
    assert task.ended().tick == HOUR
    assert task.at(HOUR).started() == ()


def test_a_person_at_the_time_takes_the_tick_along() -> None:
    task = with_new_data()
    task.state = ask(task.state, HOUR, "person")
    assert set(task.started()) == {Reason.PERSON, Reason.SCHEDULE}
    assert task.tick == 2 * HOUR


# ---- what keeps it from running -----------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "runs"),
    [
        pytest.param(1, True, id="the-next-sweep"),
        pytest.param(LATE, True, id="a-short-outage"),
        pytest.param(LATE + 1, False, id="missed"),
        pytest.param(5.5 * HOUR, False, id="several-ticks-missed"),
    ],
)
def test_a_tick_that_nothing_took_in_its_time_is_missed(late: float, *, runs: bool) -> None:
    task = with_new_data(HOUR + late)
    assert bool(task.started()) is runs
    assert task.tick == (task.now // HOUR + 1) * HOUR
    assert task.state.running is None or task.ended().state.done == Done("web-2", "d", "d-2")


def test_the_newest_of_several_missed_ticks_may_still_be_in_time() -> None:
    task = with_new_data(5 * HOUR + 60)
    assert task.started() == TICK
    assert task.state.running is not None
    assert task.state.running.serves[Reason.SCHEDULE].since == 5 * HOUR
    assert task.tick == 6 * HOUR


def test_after_several_missed_ticks_it_runs_once_at_the_next() -> None:
    task = with_new_data(5.5 * HOUR)
    assert task.started() == ()
    assert task.at(6 * HOUR).started() == TICK
    assert task.ended().at(7 * HOUR).started() == ()


@pytest.mark.parametrize("how", ["disabled", "held"])
def test_a_tick_while_it_may_not_run_is_not_made_up_for(how: str) -> None:
    task = with_new_data()
    state = task.state
    task.enabled = how != "disabled"
    task.state = replace(state, hold="why" if how == "held" else None)
    assert task.started() == ()
    assert task.at(3.5 * HOUR).seen().started() == ()
    task.enabled, task.state = True, replace(task.state, hold=None)
    assert task.seen().started() == ()
    assert task.tick == 4 * HOUR
    assert task.at(4 * HOUR).started() == TICK


def test_nor_is_it_because_no_slot_was_free_then() -> None:
    task = with_new_data(3.5 * HOUR)
    task.state = queue(task.state, task.now)
    assert task.at(3.6 * HOUR).started() == ()


def test_a_tick_waits_for_a_slot_as_long_as_it_takes() -> None:
    task = with_new_data()
    task.state = queue(task.state, HOUR + 1)
    assert task.at(1.9 * HOUR).started() == TICK
    assert task.state.queued_since is None


def test_a_tick_waits_for_the_end_of_a_run_as_long_as_it_takes() -> None:
    task = with_new_data(HOUR - 1)
    task.state = ask(task.state, task.now, "person")
    assert task.started()
    task.data = "3"
    assert task.at(HOUR).seen().started() == ()
    assert task.at(1.9 * HOUR).ended().started() == TICK


def test_the_place_in_the_queue_is_not_kept_for_a_later_tick() -> None:
    task = ran()
    task.definition = "e"
    task.seen()
    task.state = queue(task.state, task.now)
    task.definition = "d"
    assert task.seen().state.queued_since is None


# ---- what failed --------------------------------------------------------------------------


def failed(end: End = FAILED_EARLY, now: float = HOUR + 1) -> Task:
    """The run of its first tick failed."""
    task = with_new_data()
    assert task.started() == TICK
    return task.at(now).ended(end)


@pytest.mark.parametrize("end", [FAILED_EARLY, FAILED_HALF])
def test_a_failure_is_tried_again_before_the_next_tick(end: End) -> None:
    task = failed(end).seen()
    assert next_due(task.state, enabled=True) == HOUR + 1 + FIRST_WAIT == task.tick
    assert Reason.SCHEDULE in task.at(HOUR + 1 + FIRST_WAIT).started()
    assert task.state.failures == 1
    assert task.state.running is not None
    assert task.state.running.retry
    assert task.ended().seen().tick == 2 * HOUR


def test_a_retry_for_which_the_data_went_back_is_over() -> None:
    task = failed()
    task.data = "1"
    assert task.at(HOUR + 1 + FIRST_WAIT).started() == ()
    assert (task.tick, task.state.failures, task.state.retry_at) == (2 * HOUR, 0, None)


def test_the_next_tick_does_not_wait_for_a_retry_and_starts_the_count_anew() -> None:
    task = failed(now=2 * HOUR - 5)
    assert task.state.retry_at == 2 * HOUR + 5
    assert task.tick == 2 * HOUR
    assert task.at(2 * HOUR).started() == TICK
    assert task.state.failures == 0
    assert task.ended(FAILED_EARLY).state.failures == 1
    assert [each.success for each in task.state.recent] == [False, False, True]


def test_a_tick_during_a_failing_run_does_not_wait_for_its_retry() -> None:
    task = failed(now=2 * HOUR + 5)
    assert task.started() == TICK
    assert task.state.failures == 0


@pytest.mark.parametrize("end", [FINAL, replace(FINAL, apply_began=True)])
def test_what_gave_up_is_tried_again_at_the_next_tick_only(end: End) -> None:
    task = failed(end).seen()
    assert (task.state.gave_up is not None, task.tick) == (True, 2 * HOUR)
    assert task.at(2 * HOUR - 1).started() == ()
    assert task.at(2 * HOUR).started() == TICK
    assert task.state.gave_up is None


def test_what_gave_up_is_over_once_the_data_is_back() -> None:
    task = failed(FINAL)
    task.data = "1"
    assert task.at(2 * HOUR).started() == ()
    assert task.state.gave_up is None


def test_it_gives_up_after_the_last_retry_and_keeps_its_next_tick() -> None:
    task = with_new_data()
    for _ in range(MAX_RETRIES + 1):
        assert task.tick is not None
        assert task.at(task.tick).started() == TICK
        task.ended(FAILED_EARLY)
    assert task.state.gave_up
    assert task.tick == 2 * HOUR


def test_a_first_run_that_failed_is_tried_again_without_a_tick() -> None:
    task = Task(TaskState("web"), 100.0).seen()
    assert task.started() == (Reason.CHANGE,)
    task.ended(FAILED_EARLY).seen()
    assert task.tick == HOUR
    assert task.at(100.0 + FIRST_WAIT).started() == (Reason.CHANGE,)


def test_a_tick_is_not_lost_with_a_claim_that_came_to_nothing() -> None:
    task = with_new_data()
    before = task.state
    assert task.started() == TICK
    late = HOUR + 2 * LATE
    task.at(late).state = unclaim(task.state, "web-2", late)
    assert task.state == replace(
        before, wanted={Reason.SCHEDULE: replace(before.wanted[Reason.SCHEDULE], due_at=late)}
    )
    assert task.started() == TICK


# ---- another timetable --------------------------------------------------------------------


def test_a_changed_timetable_replaces_the_tick() -> None:
    task = ran()
    task.timetable = "@hourly too"
    assert task.seen().state.wanted[Reason.SCHEDULE].fingerprint == "@hourly too"


def test_the_new_timetable_replaces_an_overdue_tick() -> None:
    task = with_new_data(1.5 * HOUR)
    task.timetable = "@hourly too"
    assert task.seen().tick == 2 * HOUR


def test_from_a_schedule_to_services_and_back() -> None:
    task = with_new_data(200.0)
    task.timetable, task.definition = "", "services"
    assert task.seen().state.wanted.keys() == {Reason.CHANGE}
    assert task.started() == (Reason.CHANGE,)
    task.ended().timetable, task.definition = HOURLY, "d"
    assert task.seen().state.wanted.keys() == {Reason.CHANGE, Reason.SCHEDULE}


def test_a_tick_that_the_poller_has_not_removed_yet_is_the_last() -> None:
    task = with_new_data()
    task.timetable = ""
    task.started()
    assert task.tick is None


def test_a_timetable_that_ends_leaves_no_tick() -> None:
    task = with_new_data()
    task.ends_at = HOUR
    assert task.started() == TICK
    assert task.ended().seen().state.wanted == {}


def test_the_last_tick_is_tried_again_too() -> None:
    task = with_new_data()
    task.ends_at = HOUR
    assert task.started() == TICK
    assert task.ended(FAILED_EARLY).seen().tick == HOUR + FIRST_WAIT


def test_a_state_that_cannot_be_read_gets_no_tick() -> None:
    state = TaskState("web", hold="why", unreadable="{")
    assert scheduled(state, HOURLY, HOUR) == state


# ---- whatever happens ---------------------------------------------------------------------

ACTIONS = (
    "see", "data", "definition", "ask", "enabled", "queue",
    "start", "undo", "applied", "early", "half", "final",
)  # fmt: skip
WAITS = (0.0, 1.0, 59.0, 200.0, LATE, HOUR / 2, HOUR)
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(WAITS)), max_size=30)


@pytest.mark.slow
@given(STEPS)
def test_it_runs_for_a_reason_only_and_the_next_tick_always_stands(
    steps: list[tuple[str, float]],
) -> None:
    task = ran().seen()
    for step, wait in steps:
        one_step(task.at(task.now + wait), step)
        assert task.tick is not None
    task.enabled = True
    for _ in range(3):
        settled(task)
    assert task.state.gave_up is None
    assert task.state.done is not None
    assert task.state.done.inputs == task.inputs


def one_step(task: Task, step: str) -> None:
    match step:
        case "see":
            task.seen()
        case "data":
            task.data = {"1": "2"}.get(task.data, "1")
        case "definition":
            task.definition = {"d": "e"}.get(task.definition, "d")
        case "ask":
            task.state = ask(task.state, task.now, "person")
        case "enabled":
            task.enabled = not task.enabled
        case "queue" if due(task.state, task.enabled, task.now):
            task.state = queue(task.state, task.now)
        case "start":
            started_for_a_reason(task)
        case "undo" if task.state.running:
            task.state = unclaim(task.state, task.state.running.run, task.now)
        case "applied" | "early" | "half" | "final" if task.state.running:
            ends = {"applied": APPLIED, "early": FAILED_EARLY, "half": FAILED_HALF, "final": FINAL}
            task.ended(ends[step])


def started_for_a_reason(task: Task) -> None:
    before = task.state
    tick = before.wanted[Reason.SCHEDULE].due_at
    may = due(before, task.enabled, task.now) and tick <= task.now
    is_new = before.done is None or before.done.inputs != task.inputs
    waited = task.now if before.queued_since is None else before.queued_since
    missed = waited - max(tick, before.recent[0].ended_at) > LATE and task.now % HOUR >= LATE
    why = task.started()
    assert (Reason.SCHEDULE in why) is (may and is_new and not missed)
    if Reason.CHANGE in why:
        assert before.done is None or before.done.trigger != task.definition


def settled(task: Task) -> None:
    """All goes well until after the next tick."""
    task.seen()
    if task.state.running:
        task.ended()
    if task.started():
        task.ended()
    task.at(task.tick if task.tick is not None else task.now)
    if task.started():
        task.ended()
