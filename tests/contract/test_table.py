"""The table: leases, views, states, claims, runs, what is published."""

from dataclasses import replace

import pytest

from cts.adapters.table import Table
from cts.conditions import services
from cts.events import ViewFresh, ViewStale
from cts.generation import Attempt, Current, Rejected
from cts.run.model import End, Run, RunStatus
from cts.run.state import Done, Outcome, Reason, Running, TaskState, Wish
from cts.watch.lease import Commit, Lease
from cts.watch.query import View
from cts.watch.stale import Stale, StaleViews
from cts.watch.view import Chunk, Row, chunk_of
from tests.fakes import FakeTable

AnyTable = FakeTable | Table

LEASE = Lease(1, "me", 3, 1000.5, 1000.5, 1000.5)
CURRENT = Current(3, "v3", 1, {"config/bundle.zip": "v"}, 1000.25, ["a"], [], [])
WEB = View(services.SERVICE, "web").id
RUN = Run(
    id="web-20260101T000000-000001",
    task="web",
    status=RunStatus.PENDING,
    why=("change", "person"),
    since=999.125,
    claimed_at=1000.5,
    generation=3,
    definition="d",
    trigger="t",
    inputs={WEB: "digest"},
    correlation="c",
    attempt=1,
)
STATE = TaskState(
    "web",
    wanted={Reason.CHANGE: Wish(1.5, 2.5, "c", "f")},
    running=Running("r", {Reason.PERSON: Wish(1.0, 1.0)}, "t", "i", 5.0, Done("b", "t0", "i0")),
    done=Done("d", "t", "i"),
    failures=2,
    failed="f",
    retry_at=7.75,
    unannounced=("r/RunFinished",),
    recent=(Outcome("r", False, 9.5, "no such host"),),
)


def held(table: AnyTable) -> AnyTable:
    assert table.take(None, LEASE)
    return table


# ---- lease --------------------------------------------------------------------------------


def test_nobody_holds_a_new_watch(table: AnyTable) -> None:
    assert table.lease() is None


def test_only_the_first_takes_a_new_watch(table: AnyTable) -> None:
    assert table.take(None, LEASE)
    assert not table.take(None, replace(LEASE, owner="another"))
    assert table.lease() == LEASE


def test_only_who_read_the_last_epoch_raises_it(table: AnyTable) -> None:
    held(table)
    second = replace(LEASE, epoch=2, owner="second")
    assert table.take(LEASE, second)
    assert not table.take(LEASE, replace(LEASE, epoch=2, owner="third"))
    assert table.lease() == second


def test_a_heartbeat_in_between_does_not_keep_the_next_from_taking_over(table: AnyTable) -> None:
    held(table)
    assert table.beat(replace(LEASE, heartbeat_at=1020.0))
    assert table.take(LEASE, replace(LEASE, epoch=2))


def test_the_deposed_beats_no_more(table: AnyTable) -> None:
    held(table)
    table.take(LEASE, replace(LEASE, epoch=2))
    assert not table.beat(replace(LEASE, heartbeat_at=1020.0))


# ---- commits ------------------------------------------------------------------------------


def chunk(index: int = 7, version: int = 0) -> Chunk:
    return Chunk(chunk_of(WEB), version, {WEB: Row(index, "digest")})


def test_states_and_rows_are_written_together_and_read_back(table: AnyTable) -> None:
    held(table)
    assert table.commit(1, [STATE], [chunk()]) is Commit.DONE
    assert table.state("web") == replace(STATE, version=1)
    assert table.chunks() == {chunk_of(WEB): chunk(version=1)}


def test_without_a_lease_nothing_is_committed(table: AnyTable) -> None:
    assert table.commit(1, [STATE], []) is Commit.DEPOSED
    assert table.all_states() == {}


def test_the_deposed_writes_nothing(table: AnyTable) -> None:
    held(table)
    table.take(LEASE, replace(LEASE, epoch=2))
    assert table.commit(1, [STATE], [chunk()]) is Commit.DEPOSED
    assert table.all_states() == {}
    assert table.chunks() == {}


def test_a_state_written_in_between_refuses_all(table: AnyTable) -> None:
    held(table)
    assert table.put_state(STATE)
    assert table.commit(1, [STATE, TaskState("other")], [chunk()]) is Commit.STALE
    assert table.all_states().keys() == {"web"}
    assert table.chunks() == {}


def test_a_chunk_written_in_between_refuses_all(table: AnyTable) -> None:
    held(table)
    table.commit(1, [], [chunk()])
    assert table.commit(1, [STATE], [chunk(8)]) is Commit.STALE
    assert table.commit(1, [STATE], [chunk(8, version=1)]) is Commit.DONE
    assert table.chunks()[chunk_of(WEB)].version == 2


def test_deposed_comes_before_stale(table: AnyTable) -> None:
    held(table)
    table.put_state(STATE)
    assert table.commit(9, [STATE], []) is Commit.DEPOSED


def test_a_transaction_holds_a_hundred_items(table: AnyTable) -> None:
    held(table)
    states = [TaskState(f"task-{n}") for n in range(99)]
    assert table.commit(1, states, []) is Commit.DONE
    assert len(table.all_states()) == 99


def test_a_row_remembers_that_a_part_was_hidden(table: AnyTable) -> None:
    held(table)
    hidden = Chunk(chunk_of(WEB), 0, {WEB: Row(7, "digest", filtered=True)})
    table.commit(1, [], [hidden])
    assert table.chunks()[chunk_of(WEB)].rows == hidden.rows


def test_a_row_remembers_that_it_was_asked_for_with_a_token(table: AnyTable) -> None:
    held(table)
    rows = {WEB: Row(7, "digest", token=True)}
    table.commit(1, [], [Chunk(chunk_of(WEB), 0, rows)])
    assert table.chunks()[chunk_of(WEB)].rows == rows


# ---- stale views --------------------------------------------------------------------------

STALE = StaleViews(
    views={WEB: Stale("service web", 100.0, "no route")},
    count=1,
    unannounced=(
        ViewStale("1/ViewStale", ["service web"], 1, ["dns"], 1, ["no route"], "since", "at"),
        ViewFresh("1/ViewFresh", ["service api"], 1, [], 0, "at"),
    ),
)


def test_the_record_of_stale_views_comes_back_as_it_was_written(table: AnyTable) -> None:
    held(table)
    assert table.stale_views() == StaleViews()
    assert table.put_stale_views(1, STALE) is Commit.DONE
    assert table.stale_views() == replace(STALE, version=1)


def test_only_who_has_read_the_record_replaces_it(table: AnyTable) -> None:
    held(table)
    table.put_stale_views(1, STALE)
    assert table.put_stale_views(1, STALE) is Commit.STALE
    assert table.put_stale_views(1, replace(STALE, version=1, count=0)) is Commit.DONE
    assert table.stale_views().count == 0


def test_a_deposed_poller_does_not_write_the_record(table: AnyTable) -> None:
    held(table)
    assert table.put_stale_views(9, STALE) is Commit.DEPOSED
    assert table.stale_views() == StaleViews()


# ---- rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("digest", "dropped"), [("digest", True), ("older", False)])
def test_a_row_is_dropped_if_it_is_the_one_that_was_read(
    table: AnyTable, digest: str, *, dropped: bool
) -> None:
    held(table)
    table.commit(1, [], [chunk()])
    table.drop_row(WEB, digest)
    after = table.chunks()[chunk_of(WEB)]
    assert (WEB not in after.rows) is dropped
    assert after.version == (2 if dropped else 1)


@pytest.mark.parametrize("count", [1, 130])
def test_rows_of_some_views_are_read_without_those_of_others(table: AnyTable, count: int) -> None:
    """More than DynamoDB reads at once, too."""
    held(table)
    views = [f"{number:02x}" + "0" * 30 for number in range(count)]
    rows = [{view: Row(7, "digest"), view[:2] + "1" * 30: Row(8, "other")} for view in views]
    stored = [Chunk(chunk_of(view), 0, each) for view, each in zip(views, rows, strict=True)]
    for start in range(0, count, 50):
        assert table.commit(1, [], stored[start : start + 50]) is Commit.DONE
    assert table.rows([*views, "fe" * 16]) == dict.fromkeys(views, Row(7, "digest"))
    assert table.rows([]) == {}


def test_dropping_what_is_not_there_changes_nothing(table: AnyTable) -> None:
    table.drop_row(WEB, "digest")
    assert table.chunks() == {}


# ---- states -------------------------------------------------------------------------------


def test_a_task_without_a_state_is_new(table: AnyTable) -> None:
    assert table.state("web") == TaskState("web")
    assert table.states(["web"]) == {"web": TaskState("web")}
    assert table.states([]) == {}
    assert table.all_states() == {}


def test_a_state_is_written_once_per_version(table: AnyTable) -> None:
    assert table.put_state(STATE)
    assert not table.put_state(STATE)
    read = table.state("web")
    assert read == replace(STATE, version=1)
    assert table.put_state(replace(read, failures=3))
    assert not table.put_state(replace(read, failures=4))
    assert table.state("web").failures == 3


@pytest.mark.parametrize("count", [3, 130])
def test_many_states_are_read_at_once(table: AnyTable, count: int) -> None:
    names = [f"task-{n}" for n in range(count)]
    for name in names[:2]:
        table.put_state(TaskState(name, failures=1))
    states = table.states(names)
    assert list(states) == names
    assert [state.failures for state in states.values()].count(1) == 2
    assert table.all_states().keys() == set(names[:2])


# ---- claims and runs ----------------------------------------------------------------------


def test_a_run_is_read_with_the_state_of_its_task(table: AnyTable) -> None:
    assert table.run_and_state("web", RUN.id) == (None, TaskState("web"))
    published(table)
    table.put_state(STATE)
    assert table.claim(table.state("web"), RUN, 1) is None
    assert table.run_and_state("web", RUN.id) == (RUN, table.state("web"))


def test_what_a_claim_depends_on_is_read_at_once(table: AnyTable) -> None:
    assert table.before_claim("web") == (TaskState("web"), None, frozenset())
    published(table)
    table.put_state(STATE)
    assert table.claim(table.state("web"), RUN, 1) is None
    assert table.before_claim("web") == (table.state("web"), CURRENT, frozenset({RUN.id}))


def published(table: AnyTable) -> AnyTable:
    assert table.put_current(None, CURRENT)
    return table


def test_a_claim_writes_state_slot_and_run(table: AnyTable) -> None:
    published(table)
    assert table.claim(STATE, RUN, cap=1) is None
    assert table.state("web").version == 1
    assert table.slots() == {RUN.id}
    assert table.run("web", RUN.id) == RUN


@pytest.mark.parametrize(
    ("version", "cap", "number", "refused"),
    [
        pytest.param(4, 5, 3, "state", id="the-state-was-written-in-between"),
        pytest.param(0, 1, 3, "slot", id="no-slot-is-free"),
        pytest.param(0, 5, 2, "generation", id="another-generation-is-live"),
        pytest.param(4, 1, 2, "state", id="the-state-comes-first"),
    ],
)
def test_a_claim_that_is_refused_writes_nothing(
    table: AnyTable, version: int, cap: int, number: int, refused: str
) -> None:
    published(table)
    table.claim(TaskState("other"), replace(RUN, id="other-1-1", task="other"), cap=5)
    run = replace(RUN, generation=number)
    assert table.claim(replace(STATE, version=version), run, cap) == refused
    assert table.state("web") == TaskState("web")
    assert table.slots() == {"other-1-1"}
    assert table.run("web", RUN.id) is None


def test_without_a_live_generation_nothing_is_claimed(table: AnyTable) -> None:
    assert table.claim(STATE, RUN, cap=1) == "generation"


def test_settling_writes_state_and_run_and_frees_the_slot(table: AnyTable) -> None:
    published(table)
    table.claim(STATE, RUN, cap=1)
    end = End(
        RunStatus.APPLIED,
        apply_began=True,
        counts={"add": 1, "change": 0, "destroy": 2},
        terraform="1.13.0",
        times={"init": "t"},
    )
    ended = replace(RUN, status=RunStatus.APPLIED, end=end, ended_at=1030.5, build="b")
    assert table.settle(table.state("web"), ended)
    assert table.slots() == frozenset()
    assert table.run("web", RUN.id) == ended


def test_settling_a_state_that_was_written_in_between_changes_nothing(table: AnyTable) -> None:
    published(table)
    table.claim(STATE, RUN, cap=1)
    assert not table.settle(STATE, replace(RUN, status=RunStatus.ERRORED))
    assert table.slots() == {RUN.id}
    assert table.run("web", RUN.id) == RUN


def test_the_build_is_recorded_beside_the_run(table: AnyTable) -> None:
    published(table)
    table.claim(STATE, RUN, cap=1)
    table.record_build(replace(RUN, build="project:uuid"))
    assert table.run("web", RUN.id) == replace(RUN, build="project:uuid")
    table.record_build(replace(RUN, renewed_at=1_200.5))
    both = replace(RUN, build="project:uuid", renewed_at=1_200.5)
    assert table.run("web", RUN.id) == both
    state = table.state("web")
    assert table.settle(state, both)
    assert table.run("web", RUN.id) == both


def test_a_slot_is_freed_once_or_twice(table: AnyTable) -> None:
    published(table)
    table.claim(STATE, RUN, cap=1)
    table.free_slot(RUN.id)
    table.free_slot(RUN.id)
    assert table.slots() == frozenset()
    other = replace(RUN, id="other-1-1", task="other")
    assert table.claim(TaskState("other"), other, cap=1) is None


def test_the_newest_runs_come_first(table: AnyTable) -> None:
    published(table)
    for number, task in enumerate(["web", "api", "web", "api", "web"]):
        run_id = f"{task}-20260101T00000{number}-00000{number}"
        run = replace(RUN, id=run_id, task=task, claimed_at=1000.0 + number)
        state = table.state(task)
        assert table.claim(state, run, cap=9) is None
    newest = [run.id[-1] for run in table.runs(None, 3)]
    assert newest == ["4", "3", "2"]
    assert [run.id[-1] for run in table.runs("web", 2)] == ["4", "2"]
    assert len(table.runs(None, 99)) == 5
    assert table.runs("nobody", 9) == []


def test_of_two_runs_in_one_second_the_later_comes_first(table: AnyTable) -> None:
    published(table)
    for at, end in [(0.1, "f"), (0.2, "0")]:
        run = replace(RUN, id=f"web-20260101T000000-{end * 6}", claimed_at=at)
        assert table.claim(table.state("web"), run, cap=9) is None
    assert [run.id[-1] for run in table.runs("web", 2)] == ["0", "f"]


# ---- what is published --------------------------------------------------------------------


def test_the_live_generation_is_replaced_by_who_read_it(table: AnyTable) -> None:
    assert table.current() is None
    published(table)
    assert table.current() == CURRENT
    assert not table.put_current(None, CURRENT)
    fourth = replace(CURRENT, number=4, digest="d4", unannounced=["v4/ConfigPublished"])
    assert table.put_current(CURRENT, fourth)
    assert not table.put_current(CURRENT, replace(fourth, digest="late"))
    assert table.current() == fourth


def test_announcing_clears_in_place(table: AnyTable) -> None:
    published(table)
    assert table.put_current(CURRENT, replace(CURRENT, unannounced=[]))


def test_an_attempt_is_replaced_by_who_read_it(table: AnyTable) -> None:
    first = Attempt({"config/bundle.zip": "v1"}, 1, 1000.125, 1060.125, 1)
    second = replace(first, began_at=1001.375, count=2)
    assert table.attempt() is None
    assert table.put_attempt(None, first)
    assert not table.put_attempt(None, second)
    assert table.put_attempt(first, second)
    assert not table.put_attempt(first, second)
    assert table.attempt() == second


def test_the_last_rejection_is_replaced_by_who_read_it(table: AnyTable) -> None:
    first = Rejected({"config/bundle.zip": "v1"}, 1, 1000.125, 1, [{"what": "x"}], ["v1/x"])
    second = replace(first, rejected_at=1001.375)
    assert table.rejected() is None
    assert table.put_rejected(None, first)
    assert not table.put_rejected(None, second)
    assert table.put_rejected(first, second)
    assert not table.put_rejected(first, second)
    assert table.rejected() == second
