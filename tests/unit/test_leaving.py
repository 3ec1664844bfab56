"""The state of a task that is to be destroyed."""

from dataclasses import replace
from typing import Any

import pytest

from cts.run.due import due, falls_due
from cts.run.leaving import asked_to_leave, is_destroyed, less_former_leave, staying
from cts.run.model import End, RunStatus
from cts.run.person import ask, hold, release
from cts.run.state import Done, Reason, TaskState, unreadable_state
from cts.run.task import Claimed, claim, finish, observe, unclaim

ANN = "arn:aws:iam::111122223333:user/ann"
DONE = replace(TaskState("web"), done=Done("web-1", "A", "A"))
LEAVING = asked_to_leave(DONE, "r-1", ANN, 10.0)
APPLIED = End(RunStatus.APPLIED, apply_began=True)
FAILED = End(RunStatus.ERRORED, apply_began=True, error="quota reached")


def claimed(state: TaskState, now: float = 20.0, trigger: str = "A") -> TaskState:
    made = claim(state, "web-2", trigger, trigger, now)
    assert isinstance(made, Claimed)
    assert made.why == (Reason.DESTROY,)
    return made.state


def ended(state: TaskState, end: End = APPLIED, now: float = 30.0) -> TaskState:
    return finish(state, "web-2", end, now, 0.0)


def test_each_request_is_taken_in_once() -> None:
    assert (LEAVING.wanted[Reason.DESTROY].by, LEAVING.wanted[Reason.DESTROY].correlation) == (
        ANN,
        "r-1",
    )
    failed = replace(LEAVING, wanted={}, gave_up="no")
    for state in (LEAVING, claimed(LEAVING), failed, ended(claimed(LEAVING))):
        assert asked_to_leave(state, "r-1", ANN, 99.0) == state
    again = asked_to_leave(failed, "r-2", ANN, 99.0)
    assert (again.leaving, again.gave_up) == ("r-2", None)
    assert again.wanted[Reason.DESTROY].since == 99.0


def test_a_state_that_cant_be_read_is_left_alone() -> None:
    state = unreadable_state("web", "not JSON", 3, "why")
    assert asked_to_leave(state, "r-1", ANN, 10.0) == state


def test_it_is_due_although_it_is_disabled_and_nothing_else_is() -> None:
    assert due(LEAVING, enabled=False, now=10.0)
    changed = observe(DONE, "B", 5.0, None, "c")
    assert falls_due(changed, enabled=False) is None
    assert falls_due(asked_to_leave(changed, "r-1", ANN, 10.0), enabled=False) == 10.0


def test_a_hold_stops_it() -> None:
    held = hold(LEAVING, "why", ANN, 11.0)
    assert not due(held, enabled=False, now=20.0)
    assert due(release(held, ANN, 12.0), enabled=False, now=20.0)


def test_it_runs_alone_and_after_a_plan() -> None:
    state = observe(ask(LEAVING, 9.0, "r-0"), "B", 9.0, None, "c")
    running = claimed(state).running
    assert running
    assert {*running.serves} == {Reason.DESTROY}
    assert {*claimed(state).wanted} == {Reason.CHANGE, Reason.PERSON}
    planned = claim(ask(state, 11.0, "r-2", reason=Reason.INSPECT), "web-2", "B", "B", 20.0)
    assert isinstance(planned, Claimed)
    assert planned.why == (Reason.INSPECT,)


def test_what_is_to_be_retried_later_is_not_claimed_before() -> None:
    waits = ended(claimed(LEAVING), FAILED)
    assert waits.retry_at
    assert waits.wanted[Reason.DESTROY].due_at == waits.retry_at
    assert not isinstance(claim(waits, "web-3", "A", "A", waits.retry_at - 1), Claimed)
    again = claimed(waits, waits.retry_at).running
    assert again
    assert again.retry
    assert (waits.failures, waits.done, waits.recent[0].error) == (1, None, "quota reached")


def test_its_failures_are_counted_whatever_the_data() -> None:
    waits = observe(ended(claimed(LEAVING), FAILED), "B", 31.0, None, "c")
    assert (waits.failures, waits.retry_at) == (1, waits.wanted[Reason.DESTROY].due_at)
    again = claimed(waits, 99.0, "B")
    assert again.failures == 1
    assert again.running
    assert again.running.retry
    gone = ended(again, replace(FAILED, retryable=False), 100.0)
    for trigger in ("A", "B"):
        assert observe(gone, trigger, 101.0, None, "c").gave_up


def test_a_change_that_was_applied_before_does_not_end_its_retries() -> None:
    """It is wanted while the run goes on, for nobody knows how that ends."""
    early = replace(FAILED, apply_began=False)
    changed = observe(claimed(LEAVING), "A", 25.0, None, "c")
    waits = ended(changed, early)
    assert ({*waits.wanted}, waits.failures) == ({Reason.DESTROY}, 1)
    assert ended(changed, replace(early, retryable=False)).gave_up


def test_who_keeps_a_task_that_could_not_be_destroyed_sees_it_run_on() -> None:
    gone = ended(claimed(LEAVING), replace(FAILED, retryable=False))
    kept = observe(staying(gone), "A", 40.0, None, "c")
    assert (kept.gave_up, due(kept, enabled=True, now=40.0)) == (None, True)
    failed = replace(DONE, gave_up="no", failures=5)
    assert staying(failed) == failed
    waits = less_former_leave(ended(claimed(LEAVING), FAILED), "")
    assert (waits.retry_at, waits.failures, waits.wanted) == (None, 0, {})


def test_it_gives_up_as_any_run() -> None:
    gone = ended(claimed(LEAVING), replace(FAILED, retryable=False))
    assert (gone.gave_up is not None, gone.wanted, gone.destroyed) == (True, {}, False)
    assert not is_destroyed(gone, "r-1")


def test_nothing_is_done_after_it_has_destroyed() -> None:
    for end in (APPLIED, End(RunStatus.UNCHANGED, apply_began=False)):
        after = ended(claimed(LEAVING), end)
        assert (after.done, after.running, after.recent[0].success) == (None, None, True)
        assert is_destroyed(after, "r-1")
        assert not is_destroyed(after, "r-2")
    assert not is_destroyed(asked_to_leave(after, "r-2", ANN, 40.0), "r-2")


def test_what_is_asked_for_meanwhile_needs_a_run_of_its_own() -> None:
    running = asked_to_leave(claimed(LEAVING), "r-2", ANN, 25.0)
    after = ended(running)
    assert not is_destroyed(after, "r-2")
    assert is_destroyed(ended(claimed(after, 40.0)), "r-2")


@pytest.mark.parametrize(
    "end", [End(RunStatus.BUSY, apply_began=False), replace(FAILED, apply_began=False)]
)
def test_what_did_not_begin_to_apply_has_destroyed_nothing(end: End) -> None:
    after = ended(claimed(LEAVING), end)
    assert (after.done, after.destroyed) == (DONE.done, False)
    assert after.wanted[Reason.DESTROY].due_at > 30.0


def test_an_undone_claim_changes_nothing() -> None:
    assert unclaim(claimed(LEAVING), "web-2", 30.0) == LEAVING


def test_a_change_meanwhile_is_wanted_by_who_keeps_the_task() -> None:
    """Also one that its last success had applied."""
    for trigger in ("A", "B"):
        state = observe(claimed(LEAVING), trigger, 25.0, None, "c")
        assert state.wanted[Reason.CHANGE].fingerprint == trigger
        assert due(ended(state), enabled=True, now=30.0)
    back = ended(
        observe(claimed(LEAVING), "A", 25.0, None, "c"), replace(FAILED, apply_began=False)
    )
    assert Reason.CHANGE not in back.wanted


def test_what_is_created_afterwards_has_to_be_destroyed_again() -> None:
    kept = ask(ended(claimed(LEAVING)), 40.0, "r-3")
    created = claim(kept, "web-3", "A", "A", 50.0)
    assert isinstance(created, Claimed)
    assert not is_destroyed(created.state, "r-1")
    again = asked_to_leave(created.state, "r-1", ANN, 60.0)
    assert again.wanted[Reason.DESTROY].since == 60.0


def test_the_wish_of_a_request_that_is_no_more_is_dropped() -> None:
    assert less_former_leave(LEAVING, "r-1") == LEAVING
    for leaving in ("", "r-2"):
        after = less_former_leave(LEAVING, leaving)
        assert after.wanted == {}
        assert asked_to_leave(after, "r-1", ANN, 10.0) == LEAVING  # the configuration was too old
    untouched: Any = less_former_leave(DONE, "")
    assert untouched is DONE
