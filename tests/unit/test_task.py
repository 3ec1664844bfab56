"""The life of a task: what is wanted, when it is due, who claims it, how a run settles it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.run.due import due, next_due
from cts.run.model import End, RunStatus
from cts.run.person import ask
from cts.run.retry import FIRST_WAIT
from cts.run.state import (
    Done,
    Outcome,
    Reason,
    Running,
    TaskState,
    Wish,
    state_from,
    unreadable_state,
)
from cts.run.status import TaskStatus, task_status
from cts.run.task import (
    RECENT,
    Claimed,
    claim,
    finish,
    observe,
    queue,
    sent,
    unclaim,
)
from cts.stored import parted

BUFFER = (5.0, 20.0)
NEW = TaskState("web")
DONE_A = replace(NEW, done=Done("web-1", "A", "A"), recent=(Outcome("web-1", True, 0.0),))

APPLIED = End(RunStatus.APPLIED, apply_began=True)
UNCHANGED = End(RunStatus.UNCHANGED, apply_began=False)
FAILED_EARLY = End(RunStatus.ERRORED, apply_began=False, error="no such host")
FAILED_HALF = End(RunStatus.ERRORED, apply_began=True, error="quota reached")
BUSY = End(RunStatus.BUSY, apply_began=False, error="the state is locked by root@build")
NOT_RETRYABLE = replace(FAILED_EARLY, retryable=False)


def seen(state: TaskState, fingerprint: str, now: float = 100.0) -> TaskState:
    return observe(state, fingerprint, now, None, "why")


def claimed(state: TaskState, trigger: str, now: float = 100.0, run: str = "web-2") -> TaskState:
    after = claim(state, run, trigger, trigger, now)
    assert isinstance(after, Claimed)
    return after.state


def ended(state: TaskState, end: End, now: float = 200.0) -> TaskState:
    assert state.running is not None
    return finish(state, state.running.run, end, now, jitter=0.0)


def change(state: TaskState) -> Wish:
    return state.wanted[Reason.CHANGE]


# ---- observe ------------------------------------------------------------------------------


def test_a_task_that_never_ran_is_wanted_at_once() -> None:
    state = observe(NEW, "A", 100.0, BUFFER, "why")
    assert change(state) == Wish(since=100.0, due_at=100.0, correlation="why", fingerprint="A")


def test_what_is_done_is_not_wanted() -> None:
    assert seen(DONE_A, "A") == DONE_A


def test_the_same_change_seen_again_keeps_its_times() -> None:
    state = observe(DONE_A, "B", 100.0, BUFFER, "why")
    assert observe(state, "B", 110.0, BUFFER, "later") == state


def test_there_and_back_wants_nothing() -> None:
    assert seen(seen(DONE_A, "B"), "A") == DONE_A


def test_there_and_back_while_it_runs_wants_nothing() -> None:
    running = claimed(seen(DONE_A, "B"), "B")
    assert seen(seen(running, "C"), "B") == running


def test_back_to_the_former_state_while_the_new_one_is_applied_is_wanted() -> None:
    running = claimed(seen(DONE_A, "B"), "B")
    assert change(seen(running, "A")).fingerprint == "A"


def test_observing_touches_no_other_reason() -> None:
    state = ask(DONE_A, 50.0, "person")
    assert observe(state, "A", 100.0, None, "why") == state


@pytest.mark.parametrize(
    ("changes", "due_at"),
    [
        pytest.param([0], 5, id="a-single-change-waits-min"),
        pytest.param([0, 3], 8, id="a-further-change-prolongs-the-wait"),
        pytest.param([0, 4, 8, 12], 17, id="a-burst-prolongs-it-again-and-again"),
        pytest.param([0, 4, 8, 12, 16], 20, id="max-after-the-first-ends-it"),
        pytest.param([0, 4, 8, 12, 16, 19.5], 20, id="and-stays-the-end"),
    ],
)
def test_buffer_period(changes: list[float], due_at: float) -> None:
    state = DONE_A
    for number, at in enumerate(changes):
        state = observe(state, f"B{number}", 100.0 + at, BUFFER, "why")
    assert change(state).due_at == 100.0 + due_at
    assert change(state).since == 100.0


def test_without_a_buffer_period_a_change_is_due_at_once() -> None:
    assert change(observe(DONE_A, "B", 100.0, None, "why")).due_at == 100.0


def test_a_change_during_the_very_first_run_is_buffered() -> None:
    running = claimed(seen(NEW, "A"), "A")
    assert change(observe(running, "B", 110.0, BUFFER, "why")).due_at == 115.0


# ---- due ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "enabled", "at"),
    [
        pytest.param(DONE_A, True, None, id="nothing-wanted"),
        pytest.param(seen(DONE_A, "B"), True, 100.0, id="wanted"),
        pytest.param(seen(DONE_A, "B"), False, None, id="disabled"),
        pytest.param(replace(seen(DONE_A, "B"), hold="why"), True, None, id="held"),
        pytest.param(claimed(seen(DONE_A, "B"), "B"), True, None, id="running"),
        pytest.param(ask(seen(DONE_A, "B"), 90.0, ""), True, 90.0, id="the-earliest-of-two"),
    ],
)
def test_next_due(state: TaskState, enabled: bool, at: float | None) -> None:
    assert next_due(state, enabled) == at


def test_due_from_its_time_on() -> None:
    state = observe(DONE_A, "B", 100.0, BUFFER, "why")
    assert [due(state, True, at) for at in (104.9, 105.0, 300.0)] == [False, True, True]


# ---- claim --------------------------------------------------------------------------------


def test_a_claim_moves_the_wish_and_the_last_success_into_running() -> None:
    wanted = seen(DONE_A, "B")
    after = claim(wanted, "web-2", "B", "B-inputs", 120.0)
    assert isinstance(after, Claimed)
    assert after.why == (Reason.CHANGE,)
    assert (after.since, after.correlation) == (100.0, "why")
    assert after.state.wanted == {}
    assert after.state.done is None
    assert after.state.running == Running(
        "web-2", wanted.wanted, "B", "B-inputs", 120.0, before=DONE_A.done
    )


def test_a_claim_ends_the_queueing() -> None:
    assert claimed(queue(seen(DONE_A, "B"), 90.0), "B").queued_since is None


def test_a_change_that_is_loaded_and_done_is_dropped() -> None:
    state = replace(seen(NEW, "A"), done=DONE_A.done)
    assert claim(state, "web-2", "A", "A", 100.0) == replace(state, wanted={})


def test_views_older_than_the_wish_start_nothing_and_the_wish_stays() -> None:
    state = seen(DONE_A, "B")
    assert claim(state, "web-2", "A", "A", 100.0) == state


def test_views_that_are_neither_done_nor_the_wish_are_applied_and_the_wish_stays() -> None:
    state = claimed(seen(DONE_A, "C"), "B")
    assert change(state).fingerprint == "C"
    assert state.running is not None
    assert state.running.serves[Reason.CHANGE].fingerprint == "B"


def test_a_buffered_change_does_not_go_but_goes_along_with_a_person() -> None:
    state = observe(DONE_A, "B", 100.0, BUFFER, "why")
    assert claim(state, "web-2", "B", "B", 101.0) == state
    together = claim(ask(state, 101.0, "person"), "web-2", "B", "B", 101.0)
    assert isinstance(together, Claimed)
    assert together.why == (Reason.PERSON,)
    assert together.state.wanted == {}


def test_a_person_is_served_even_if_all_is_done() -> None:
    assert claimed(ask(DONE_A, 100.0, ""), "A").running is not None


def test_the_oldest_of_what_goes_names_the_correlation() -> None:
    state = ask(seen(DONE_A, "B", now=100.0), 90.0, "person")
    after = claim(state, "web-2", "B", "B", 100.0)
    assert isinstance(after, Claimed)
    assert (after.since, after.correlation) == (90.0, "person")


@pytest.mark.parametrize(("inputs", "goes"), [("A", False), ("B", True)])
def test_a_tick_goes_if_an_input_changed(inputs: str, goes: bool) -> None:
    state = replace(DONE_A, wanted={Reason.SCHEDULE: Wish(100.0, 100.0)})
    assert isinstance(claim(state, "web-2", "A", inputs, 100.0), Claimed) is goes


def test_what_is_wanted_no_more_leaves_the_queue() -> None:
    assert seen(queue(seen(DONE_A, "B"), 90.0), "A") == DONE_A


def test_queueing_keeps_the_first_time() -> None:
    assert queue(queue(NEW, 100.0), 200.0).queued_since == 100.0


# ---- finish -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [APPLIED, UNCHANGED])
def test_a_success_sets_done_and_tells_so(end: End) -> None:
    state = ended(claimed(seen(DONE_A, "B"), "B"), end)
    assert state.done == Done("web-2", "B", "B")
    assert state.running is None
    assert state.wanted == {}
    assert state.unannounced == ("web-2/RunFinished",)
    assert state.recent[0].success


def test_a_newer_change_stands_after_a_success() -> None:
    state = ended(seen(claimed(seen(DONE_A, "B"), "B"), "C"), APPLIED)
    assert change(state).fingerprint == "C"


def test_a_wish_for_what_a_run_just_did_goes_with_it() -> None:
    state = ended(seen(claimed(seen(DONE_A, "C"), "B"), "B"), APPLIED)
    assert state.wanted == {}


def test_a_run_that_failed_before_its_apply_leaves_the_former_success_in_force() -> None:
    assert ended(claimed(seen(DONE_A, "B"), "B"), FAILED_EARLY).done == DONE_A.done


def test_after_a_failed_apply_nothing_counts_as_done() -> None:
    failed = ended(claimed(seen(DONE_A, "B"), "B"), FAILED_HALF)
    assert failed.done is None
    assert change(seen(failed, "A")).fingerprint == "A"


def test_a_failure_puts_back_what_was_served_due_at_the_retry() -> None:
    state = ended(claimed(ask(seen(DONE_A, "B"), 100.0, ""), "B"), FAILED_EARLY, now=200.0)
    assert state.retry_at == 200.0 + FIRST_WAIT
    assert {wish.due_at for wish in state.wanted.values()} == {state.retry_at}
    assert state.wanted.keys() == {Reason.CHANGE, Reason.PERSON}
    assert (state.failures, state.failed) == (1, "B")


def test_a_retry_waits_for_its_time() -> None:
    state = ended(claimed(seen(DONE_A, "B"), "B"), FAILED_EARLY, now=200.0)
    assert not due(state, True, 209.9)
    assert due(state, True, 210.0)


def test_a_change_there_and_back_to_what_failed_is_tried_anew() -> None:
    failed = ended(claimed(seen(DONE_A, "B"), "B"), FAILED_EARLY, now=200.0)
    again = seen(seen(failed, "C", now=201.0), "B", now=202.0)
    assert (again.failures, again.retry_at) == (0, None)


def test_what_failed_and_is_derived_again_waits_for_its_retry() -> None:
    failed = ended(claimed(seen(DONE_A, "B"), "B"), FAILED_EARLY, now=200.0)
    derived = seen(replace(failed, wanted={}), "B", now=201.0)
    assert change(derived).due_at == failed.retry_at


def test_a_change_back_to_what_is_done_ends_the_retrying() -> None:
    failed = ended(claimed(seen(DONE_A, "B"), "B"), FAILED_EARLY)
    back = seen(failed, "A")
    assert replace(back, recent=(), former=(), unannounced=()) == replace(DONE_A, recent=())


def failing(end: End, times: int) -> TaskState:
    state = seen(DONE_A, "B")
    for number in range(times):
        at = next_due(state, enabled=True)
        assert at is not None
        state = ended(claimed(state, "B", at, f"web-{number + 2}"), end, now=at + 1)
    return state


def test_it_gives_up_after_the_fourth_retry() -> None:
    assert failing(FAILED_EARLY, 4).gave_up is None
    state = failing(FAILED_EARLY, 5)
    assert state.gave_up == "failed 5 times in a row"
    assert state.wanted == {}
    assert state.retry_at is None


def test_it_gives_up_at_once_on_what_trying_again_cannot_mend() -> None:
    assert failing(NOT_RETRYABLE, 1).gave_up is not None


def test_what_was_given_up_is_wanted_no_more() -> None:
    state = failing(NOT_RETRYABLE, 1)
    assert seen(state, "B", now=999.0) == state


def test_another_change_after_giving_up_is_tried() -> None:
    state = seen(failing(NOT_RETRYABLE, 1), "C", now=999.0)
    assert change(state).due_at == 999.0
    assert (state.gave_up, state.failures) == (None, 0)


def test_a_person_may_try_again_what_was_given_up() -> None:
    state = ask(failing(FAILED_EARLY, 5), 999.0, "person")
    assert due(state, True, 999.0)
    assert ended(claimed(state, "B", 999.0, "web-9"), FAILED_EARLY).failures == 1


def test_a_newer_change_does_not_wait_for_what_failed_before_it() -> None:
    running = claimed(seen(DONE_A, "B"), "B")
    state = ended(seen(running, "C", now=150.0), FAILED_HALF, now=200.0)
    assert change(state) == Wish(150.0, 150.0, "why", "C")


def test_a_change_back_to_the_former_success_while_a_run_fails_early_wants_nothing() -> None:
    running = claimed(seen(DONE_A, "B"), "B")
    state = ended(seen(running, "A"), NOT_RETRYABLE)
    assert state.done == DONE_A.done
    assert (state.wanted, state.gave_up, state.failed) == ({}, None, None)


def test_while_a_newer_wish_stands_what_failed_is_not_loaded_again_before_its_retry() -> None:
    """The wish's rows are not stored yet: the runner loads B and B again."""
    failed = ended(claimed(seen(DONE_A, "C"), "B"), FAILED_EARLY, now=200.0)
    assert change(failed).fingerprint == "C"
    assert claim(failed, "web-3", "B", "B", 201.0) == failed
    assert isinstance(claim(failed, "web-3", "C", "C", 201.0), Claimed)
    assert isinstance(claim(failed, "web-3", "B", "B", 210.0), Claimed)


def test_nor_is_it_ever_once_it_was_given_up() -> None:
    failed = ended(claimed(seen(DONE_A, "C"), "B"), NOT_RETRYABLE, now=200.0)
    assert claim(failed, "web-3", "B", "B", 9999.0) == failed


@pytest.mark.parametrize("end", [APPLIED, FAILED_HALF])
def test_news_of_another_run_changes_nothing(end: End) -> None:
    running = claimed(seen(DONE_A, "B"), "B")
    assert finish(running, "web-1", end, 200.0, 0.0) == running
    assert finish(DONE_A, "web-1", end, 200.0, 0.0) == DONE_A


def test_the_last_five_outcomes_are_kept_newest_first() -> None:
    state = NEW
    for number in range(7):
        running = claimed(ask(state, 0.0, ""), "A", run=f"web-{number}")
        state = ended(running, APPLIED, now=float(number))
    assert [each.run for each in state.recent] == [f"web-{n}" for n in (6, 5, 4, 3, 2)]
    assert len(state.recent) == RECENT


# ---- outcomes: one for each trigger, after its retries ------------------------------------


@pytest.mark.parametrize("times", [1, 3, 5])
def test_one_refused_change_is_one_outcome_however_often_it_was_tried(times: int) -> None:
    state = failing(FAILED_EARLY, times)
    assert [each.success for each in state.recent] == [False, True]
    assert state.recent[0].run == f"web-{times + 1}"
    assert task_status(state.recent) is TaskStatus.ERRORED


def test_a_retry_that_succeeds_makes_its_trigger_a_success() -> None:
    state = failing(FAILED_EARLY, 2)
    assert state.retry_at is not None
    state = ended(claimed(state, "B", state.retry_at, "web-9"), APPLIED)
    assert [each.success for each in state.recent] == [True, True]


def test_a_retry_that_a_newer_change_meets_is_still_a_retry() -> None:
    state = failing(FAILED_EARLY, 1)
    assert state.retry_at is not None
    state = seen(claimed(state, "B", state.retry_at, "web-9"), "C", now=300.0)
    state = ended(state, FAILED_EARLY, now=301.0)
    assert [each.success for each in state.recent] == [False, True]
    state = ended(claimed(state, "C", 301.0, "web-10"), FAILED_EARLY, now=302.0)
    assert [each.success for each in state.recent] == [False, False, True]
    assert task_status(state.recent) is TaskStatus.CRITICAL


@pytest.mark.parametrize("asked", [True, False], ids=["a-person-asks", "there-and-back"])
def test_what_is_wanted_anew_is_an_outcome_of_its_own(*, asked: bool) -> None:
    state = failing(FAILED_EARLY, 2)
    state = ask(state, 400.0, "") if asked else seen(seen(state, "C", 399.0), "B", 400.0)
    state = ended(claimed(state, "B", 400.0, "web-9"), FAILED_EARLY, now=401.0)
    assert [each.success for each in state.recent] == [False, False, True]


def test_every_build_that_ended_is_named_to_the_next_one() -> None:
    state = failing(FAILED_EARLY, 3)
    assert [each.run for each in state.former] == ["web-4", "web-3", "web-2"]
    assert state.former[0].ended_at == state.recent[0].ended_at


def test_a_build_that_nobody_saw_end_is_not_named() -> None:
    assert failing(replace(FAILED_EARLY, known=False), 2).former == ()


def test_a_state_that_cannot_be_read_is_held_and_stays_as_it_is() -> None:
    state = unreadable_state("web", '{"task": 1}', 7, "TaskState.task must be of type str")
    assert (state.version, next_due(ask(state, 1.0, ""), enabled=True)) == (7, None)
    assert "TaskState.task must be of type str" in (state.hold or "")
    assert seen(state, "A") == state
    assert state.unreadable == '{"task": 1}'


# ---- unclaim ------------------------------------------------------------------------------


def test_unclaiming_makes_all_as_it_was() -> None:
    state = ask(seen(DONE_A, "B"), 100.0, "person")
    assert unclaim(claimed(state, "B"), "web-2", 100.0) == state


def test_unclaiming_keeps_a_newer_change() -> None:
    state = unclaim(seen(claimed(seen(DONE_A, "B"), "B"), "C"), "web-2", 100.0)
    assert change(state).fingerprint == "C"
    assert state.done == DONE_A.done


def test_unclaiming_after_the_change_went_back_wants_nothing() -> None:
    assert unclaim(seen(claimed(seen(DONE_A, "B"), "B"), "A"), "web-2", 100.0) == DONE_A


def test_unclaiming_another_run_changes_nothing() -> None:
    running = claimed(seen(DONE_A, "B"), "B")
    assert unclaim(running, "web-1", 100.0) == running


# ---- the rest -----------------------------------------------------------------------------


def test_what_was_sent_leaves_the_list() -> None:
    state = replace(NEW, unannounced=("a/RunFinished", "b/RunFinished"))
    assert sent(state, "a/RunFinished").unannounced == ("b/RunFinished",)


TIMES = st.floats(0, 2e9, allow_nan=False)
TEXTS = st.text(max_size=8)
WISHES = st.builds(Wish, TIMES, TIMES, TEXTS, st.none() | TEXTS)
WANTED = st.dictionaries(st.sampled_from(Reason), WISHES)
DONES = st.none() | st.builds(Done, TEXTS, TEXTS, TEXTS)
RUNNINGS = st.none() | st.builds(Running, TEXTS, WANTED, TEXTS, TEXTS, TIMES, DONES)


@pytest.mark.slow
@given(
    st.builds(
        TaskState,
        task=TEXTS,
        wanted=WANTED,
        running=RUNNINGS,
        done=DONES,
        retry_at=st.none() | TIMES,
        gave_up=st.none() | TEXTS,
        queued_since=st.none() | TIMES,
        unannounced=st.lists(TEXTS, max_size=3).map(tuple),
        recent=st.lists(st.builds(Outcome, TEXTS, st.booleans(), TIMES), max_size=3).map(tuple),
    ),
    st.integers(0, 99),
)
def test_a_state_comes_back_from_its_json(state: TaskState, version: int) -> None:
    first, newer = json.loads(json.dumps(parted(state)))
    assert state_from(first | newer, version) == replace(state, version=version)


STEPS = st.lists(
    st.tuples(st.sampled_from(["see", "ask", "claim", "end", "undo"]), st.sampled_from("ABC")),
    max_size=12,
)


@pytest.mark.slow
@given(STEPS)
def test_a_failed_or_undone_run_never_loses_a_change(steps: list[tuple[str, str]]) -> None:
    """Whatever is seen last is done, runs, is wanted (or a person's run is), or was given up."""
    state, last = DONE_A, "A"
    for at, (step, letter) in enumerate(steps):
        state, last = one_step(state, step, letter, last, 1000.0 * at)
        current = state.running or state.done
        stands = state.wanted.get(Reason.CHANGE)
        assert (
            (current is not None and current.trigger == last)
            or (stands is not None and stands.fingerprint == last)
            or Reason.PERSON in state.wanted
            or (state.gave_up is not None and state.failed == last)
        )


def one_step(
    state: TaskState, step: str, letter: str, last: str, now: float
) -> tuple[TaskState, str]:
    match step:
        case "see":
            return observe(state, letter, now, None, ""), letter
        case "ask":
            return ask(state, now, ""), last
        case "claim" if due(state, True, now):
            after = claim(state, f"web-{now}", last, last, now)
            return (after.state if isinstance(after, Claimed) else after), last
        case "end" if state.running:
            end = {"A": APPLIED, "B": FAILED_EARLY, "C": FAILED_HALF}[letter]
            return finish(state, state.running.run, end, now, 0.0), last
        case "undo" if state.running:
            return unclaim(state, state.running.run, now), last
    return state, last


def test_what_gave_up_is_tried_again_once_other_data_ran_in_between() -> None:
    state = observe(TaskState("web"), "A", 0.0, None, "c")
    first = claim(state, "web-1-1", "A", "A", 0.0)
    assert isinstance(first, Claimed)
    state = observe(first.state, "B", 1.0, None, "c")
    refused = End(RunStatus.ERRORED, apply_began=False, retryable=False)
    state = finish(state, "web-1-1", refused, 2.0, 0.0)
    second = claim(state, "web-1-2", "B", "B", 3.0)
    assert isinstance(second, Claimed)
    state = observe(second.state, "A", 4.0, None, "c")
    state = finish(state, "web-1-2", End(RunStatus.APPLIED, apply_began=True), 5.0, 0.0)
    assert state.wanted[Reason.CHANGE].fingerprint == "A"


def test_a_busy_run_is_tried_again_after_a_minute_and_is_no_failure() -> None:
    before = seen(DONE_A, "B")
    state = ended(claimed(before, "B"), BUSY)
    assert state.wanted[Reason.CHANGE].due_at == 260.0
    assert state.wanted[Reason.CHANGE].since == before.wanted[Reason.CHANGE].since
    assert (state.failures, state.retry_at, state.gave_up) == (0, None, None)
    assert (state.done, state.recent) == (DONE_A.done, DONE_A.recent)
    assert state.unannounced == ("web-2/RunFinished",)
    assert [each.run for each in state.former] == ["web-2"]
    assert seen(state, "B", 250.0) == state


def test_a_wish_says_since_when_its_runs_were_busy() -> None:
    first = ended(claimed(seen(DONE_A, "B"), "B"), BUSY)
    again = ended(claimed(first, "B", 300.0, "web-3"), BUSY, 360.0)
    assert first.wanted[Reason.CHANGE].busy_since == 200.0
    assert again.wanted[Reason.CHANGE].busy_since == 200.0
    failed = ended(claimed(first, "B", 300.0, "web-3"), FAILED_EARLY, 310.0)
    assert failed.wanted[Reason.CHANGE].busy_since is None
    assert seen(again, "C", 400.0).wanted[Reason.CHANGE].busy_since is None


def test_a_busy_retry_goes_on_counting_what_failed_before_it() -> None:
    failed = ended(claimed(seen(DONE_A, "B"), "B"), FAILED_EARLY)
    busy = ended(claimed(failed, "B", 300.0, "web-3"), BUSY, 310.0)
    again = ended(claimed(busy, "B", 400.0, "web-4"), FAILED_EARLY, 410.0)
    assert (busy.failures, again.failures) == (1, 2)


def test_a_change_that_went_back_while_a_run_was_busy_wants_nothing() -> None:
    running = seen(claimed(seen(DONE_A, "B"), "B"), "A", 150.0)
    assert not ended(running, BUSY).wanted.get(Reason.CHANGE)


def test_a_person_who_asked_for_an_inspection_has_got_it() -> None:
    state = claimed(ask(DONE_A, 100.0, "c"), "A")
    after = ended(state, End(RunStatus.PLANNED, apply_began=False))
    assert (after.wanted, after.done, after.failures) == ({}, DONE_A.done, 0)
