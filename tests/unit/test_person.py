"""What people do to a task: hold, release, ask for runs and plans."""

from dataclasses import replace

import pytest

from cts.run.due import due, next_due
from cts.run.model import End, RunStatus
from cts.run.person import HOLDS, ask, has_planned, hold, release
from cts.run.state import Done, Former, Outcome, Reason, TaskState, Wish, unreadable_state
from cts.run.task import Claimed, claim, finish, observe, unclaim

ANN, BOB = "arn:aws:iam::111122223333:user/ann", "arn:aws:iam::111122223333:user/bob"
NEW = TaskState("web")
DONE_A = replace(NEW, done=Done("web-1", "A", "A"), recent=(Outcome("web-1", True, 0.0),))
GAVE_UP = replace(NEW, failures=5, failed="B", gave_up="failed 5 times in a row")
PLANNED = End(RunStatus.PLANNED, apply_began=False)
FAILED = End(RunStatus.ERRORED, apply_began=False, error="no such host")
BUSY = End(RunStatus.BUSY, apply_began=False)


def seen(state: TaskState, fingerprint: str, now: float = 100.0) -> TaskState:
    return observe(state, fingerprint, now, None, "why")


def claimed(state: TaskState, trigger: str = "A", now: float = 100.0) -> TaskState:
    after = claim(state, "web-2", trigger, trigger, now)
    assert isinstance(after, Claimed)
    return after.state


def inspecting(state: TaskState, trigger: str = "A") -> TaskState:
    return claimed(ask(state, 100.0, "r", ANN, Reason.INSPECT), trigger)


def ended(state: TaskState, end: End, now: float = 200.0) -> TaskState:
    return finish(state, "web-2", end, now, jitter=0.0)


BEFORE, SINCE = (replace(NEW, former=(Former("web-1", at),)) for at in (40.0, 60.0))


@pytest.mark.parametrize(
    ("state", "planned"),
    [
        (NEW, False),
        (BEFORE, False),
        (SINCE, True),
        (ask(SINCE, 70.0, "r", ANN, Reason.INSPECT), False),
        (inspecting(SINCE), False),
        (ended(inspecting(SINCE), BUSY), False),
        (ended(inspecting(BEFORE), PLANNED), True),
        (ended(inspecting(NEW), replace(FAILED, retryable=False)), True),
    ],
)
def test_a_plan_has_come_once_a_run_has_ended_and_none_is_wanted(
    state: TaskState, planned: bool
) -> None:
    assert has_planned(state, 50.0) is planned


# ---- hold and release ---------------------------------------------------------------------


def test_a_held_task_is_observed_and_not_due_until_it_is_released() -> None:
    held = seen(hold(DONE_A, "the firewall is replaced", ANN, 50.0), "B")
    assert held.wanted[Reason.CHANGE].fingerprint == "B"
    assert not due(held, True, 1000.0)
    assert due(release(held, BOB, 200.0), True, 200.0)


def test_a_hold_says_why_by_whom_and_since_when() -> None:
    state = hold(NEW, "why", ANN, 50.0)
    assert state.held is not None
    assert (state.held.why, state.held.by, state.held.since) == ("why", ANN, 50.0)


def test_the_history_says_who_released_it() -> None:
    state = release(hold(NEW, "why", ANN, 50.0), BOB, 60.0)
    [former] = state.holds
    assert (state.hold, state.held) == (None, None)
    assert (former.why, former.by, former.released_by, former.released_at) == (
        "why",
        ANN,
        BOB,
        60.0,
    )


def test_a_second_hold_changes_nothing_nor_does_a_second_release() -> None:
    held = hold(NEW, "why", ANN, 50.0)
    assert hold(held, "another", BOB, 60.0) == held
    released = release(held, BOB, 70.0)
    assert release(released, ANN, 80.0) == released


def test_each_hold_and_each_release_is_announced_once() -> None:
    state = NEW
    for at in (10.0, 20.0):
        state = release(hold(state, "why", ANN, at), ANN, at + 5)
    assert len(set(state.unannounced)) == len(state.unannounced) == 4
    assert [each.rpartition("/")[2] for each in state.unannounced] == [
        "TaskHeld",
        "TaskReleased",
    ] * 2


def test_only_the_last_holds_are_kept() -> None:
    state = NEW
    for at in range(HOLDS + 3):
        state = release(hold(state, f"{at}", ANN, at), ANN, at + 0.5)
    assert [each.why for each in state.holds] == ["7", "6", "5", "4", "3"]


def test_what_cannot_be_read_is_not_released_and_not_asked_for() -> None:
    state = unreadable_state("web", "{", 3, "broken")
    assert release(state, ANN, 10.0) == state
    assert ask(state, 10.0, "r", ANN) == state


# ---- asking -------------------------------------------------------------------------------


def test_a_person_gets_a_run_of_what_was_given_up() -> None:
    state = ask(GAVE_UP, 100.0, "r", ANN)
    assert (state.gave_up, state.failures) == (None, 0)
    assert state.wanted[Reason.PERSON] == Wish(100.0, 100.0, "r", by=ANN)
    assert due(state, True, 100.0)


def test_asking_twice_is_asking_once() -> None:
    state = ask(GAVE_UP, 100.0, "r", ANN)
    assert ask(state, 110.0, "s", BOB) == state


def test_who_asks_does_not_wait_for_a_retry() -> None:
    waits = replace(NEW, retry_at=500.0, wanted={Reason.PERSON: Wish(50.0, 500.0, "r", by=ANN)})
    assert next_due(ask(waits, 100.0, "s", BOB), True) == 100.0


# ---- a plan -------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
def test_a_plan_needs_no_leave(enabled: bool) -> None:
    state = hold(seen(DONE_A, "B"), "why", ANN, 50.0)
    state = ask(state, 100.0, "r", ANN, Reason.INSPECT)
    assert due(state, enabled, 100.0)
    after = claim(state, "web-2", "B", "B", 100.0)
    assert isinstance(after, Claimed)
    assert after.why == (Reason.INSPECT,)
    assert after.state.wanted.keys() == {Reason.CHANGE}


@pytest.mark.parametrize("end", [PLANNED, FAILED])
@pytest.mark.parametrize("state", [NEW, DONE_A, GAVE_UP, seen(DONE_A, "B"), seen(NEW, "B")])
def test_after_a_plan_all_is_as_before(state: TaskState, end: End) -> None:
    after = ended(inspecting(state, "B"), end)
    assert replace(after, unannounced=(), former=()) == state
    assert after.unannounced == ("web-2/RunFinished",)


def test_a_change_is_wanted_while_it_is_planned() -> None:
    running = inspecting(DONE_A, "B")
    assert seen(running, "B").wanted[Reason.CHANGE].fingerprint == "B"
    assert not seen(running, "A").wanted
    assert seen(inspecting(NEW, "A"), "A").wanted[Reason.CHANGE].fingerprint == "A"


def test_a_plan_that_found_the_state_locked_is_tried_again() -> None:
    after = ended(inspecting(GAVE_UP), BUSY)
    assert after.wanted[Reason.INSPECT] == Wish(100.0, 260.0, "r", by=ANN)
    assert after.gave_up == GAVE_UP.gave_up


def test_a_plan_whose_build_never_began_is_wanted_again() -> None:
    state = ask(DONE_A, 100.0, "r", ANN, Reason.INSPECT)
    assert unclaim(claimed(state), "web-2", 200.0) == state
