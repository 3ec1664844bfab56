"""One poller's steps: judge answers, store what changed, say what is due."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts import keys
from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.errors import Unavailable
from cts.events import CatalogChanged, TaskTriggered, ViewFresh, ViewStale, entry
from cts.generation import BufferPeriod, Generation, TaskEntry
from cts.run.state import Done, Outcome, Reason, TaskState
from cts.run.task import Claimed, claim
from cts.watch.diff import batches
from cts.watch.lease import Commit, Deposed, Lease
from cts.watch.query import View
from cts.watch.snapshot import Snapshot, of, snapshot
from cts.watch.stale import Stale, StaleViews
from cts.watch.view import Answer, Chunk, Row, chunk_of
from cts.workflow.poll import Poller, PollPorts
from tests.fake_consul import instance
from tests.fakes import Clock, Counter, FakeBucket, FakeBus, FakeTable, before_next, failing

WEB, API = View(services.SERVICE, "web"), View(services.SERVICE, "api")
LISTING = View(services.LISTING)
LEASE = Lease(1, "me", 1, 0, 0, 0)

BOTH = TaskEntry("d-both", ServicesCondition(("web", "api")))
ONE = TaskEntry("d-one", ServicesCondition(("web",)))
SOME = TaskEntry("d-some", ServicesCondition(regexp="^w"))


def answer(index: int, *rows: object) -> Answer:
    return Answer(index, of(list(rows)))


class World:
    """A poller that holds the watch, and what it works on."""

    def __init__(self, limit: int = 100, **tasks: TaskEntry) -> None:
        self.table, self.bucket, self.bus = FakeTable(), FakeBucket(), FakeBus()
        self.clock = Clock()
        self.generation = Generation(1, 1, {}, tasks)
        self.ports = PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=self.clock,
            new_id=Counter().new_id,
            transaction_limit=limit,
        )
        self.poller = self.new_poller()

    def new_poller(self) -> Poller:
        poller = Poller(self.ports, self.generation)
        poller.load()
        read = self.table.lease()
        assert poller.raise_epoch(read, replace(LEASE, epoch=read.epoch + 1 if read else 1))
        poller.load()
        poller.look({}, derive_all=True)
        return poller

    def look(self, answers: dict[View, Answer]) -> None:
        self.poller.look(answers)
        self.poller.announce()

    def wanted(self, task: str) -> str | None:
        wish = self.table.state(task).wanted.get(Reason.CHANGE)
        return wish.fingerprint if wish else None

    def row(self, view: View) -> Row | None:
        chunk = self.table.stored_chunks.get(chunk_of(view.id))
        return chunk.rows.get(view.id) if chunk else None

    def finish_all(self) -> None:
        """Every task has applied what it wants."""
        for state in list(self.table.stored_states.values()):
            wish = state.wanted.get(Reason.CHANGE)
            if wish is None or wish.fingerprint is None:
                continue
            recent = (Outcome(f"{state.task}-1", True, 0.0),)
            done = Done(f"{state.task}-1", wish.fingerprint, "")
            self.table.put_state(replace(state, wanted={}, done=done, recent=recent))


# ---- what an answer leads to --------------------------------------------------------------


def test_a_first_answer_is_stored_observed_and_announced() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    assert world.row(WEB) == Row(7, of(["a"]).digest)
    assert world.bucket.get(WEB.id, of(["a"]).digest) == of(["a"])
    assert world.wanted("one")
    assert world.bus.of(TaskTriggered) == [TaskTriggered("one", "id-2")]
    [changed] = world.bus.of(CatalogChanged)
    assert (changed.views, changed.tasks) == (["service web"], ["one"])
    assert changed.correlation_id == "id-2"


def instances(index: int, *ports: int) -> Answer:
    return Answer(index, snapshot(WEB, [instance("web", port, Port=port) for port in ports]))


def deltas(world: World) -> list[tuple[Any, ...]]:
    """Of the events so far: counts, and what is listed."""
    counted = ("came", "left", "changed", "unknown")
    return [
        (
            *(event.delta[each] for each in counted),
            [(each["what"], each["name"]) for each in event.delta["first"]],
        )
        for event in world.bus.of(CatalogChanged)
    ]


def test_a_change_is_announced_with_who_came_and_who_left() -> None:
    world = World(one=ONE)
    world.look({WEB: instances(7, 1, 2)})
    world.look({WEB: instances(8, 2, 3)})
    assert deltas(world) == [
        (2, 0, 0, 0, [("came", "node-1/web-1"), ("came", "node-2/web-2")]),
        (1, 1, 0, 0, [("came", "node-3/web-3"), ("left", "node-1/web-1")]),
    ]


@pytest.mark.parametrize("gone", [True, False])
def test_a_change_from_what_can_not_be_read_is_announced_as_unknown(gone: bool) -> None:
    world = World(one=ONE)
    world.look({WEB: instances(7, 1)})
    world.poller.look({WEB: instances(8, 2)})
    if gone:
        del world.bucket.objects[keys.snapshot(WEB.id, instances(7, 1).snapshot.digest)]
        world.poller.announce()
    else:
        with failing(world.bucket, "get", Unavailable("slow")):
            world.poller.announce()
    assert deltas(world)[-1] == (0, 0, 0, 1, [("unknown", "")])


def test_a_task_is_triggered_before_what_changed_is_looked_up() -> None:
    """Reading what was before takes a request for each view."""
    world = World(one=ONE)
    world.look({WEB: instances(7, 1)})
    assert [type(each) for each in world.bus.events] == [TaskTriggered, CatalogChanged]


def test_an_event_about_many_long_names_stays_small() -> None:
    views = [View(services.SERVICE, "\U0001f600" * 500 + str(n)) for n in range(200)]
    tasks = {
        f"t{n}" + "x" * 400: TaskEntry("d", ServicesCondition((v.name,)))
        for n, v in enumerate(views)
    }
    world = World(100, **tasks)
    world.look({view: Answer(7, snapshot(view, [instance(view.name)])) for view in views})
    [event] = world.bus.of(CatalogChanged)
    assert len(entry(event, "bus")["Detail"]) < 32_000
    assert (event.view_count, event.task_count, event.delta["came"]) == (200, 200, 200)


def test_only_tasks_that_look_at_it_are_observed() -> None:
    world = World(both=BOTH, one=ONE)
    world.look({WEB: answer(7, "a"), API: answer(7, "b")})
    world.finish_all()
    world.look({API: answer(8, "c")})
    assert world.wanted("both")
    assert world.wanted("one") is None


def test_a_task_waits_until_all_its_views_were_read() -> None:
    world = World(both=BOTH)
    world.look({WEB: answer(7, "a")})
    assert world.wanted("both") is None
    world.look({API: answer(8, "b")})
    assert world.wanted("both")


def test_the_same_answer_again_writes_and_sends_nothing() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    before, sent = world.table.stored_chunks.copy(), len(world.bus.events)
    world.look({WEB: answer(7, "a")})
    assert world.table.stored_chunks == before
    assert len(world.bus.events) == sent


def test_a_moved_index_is_written_only_when_the_poller_leaves() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    world.look({WEB: answer(9, "a")})
    assert world.row(WEB) == Row(7, of(["a"]).digest)
    world.poller.leave()
    assert world.row(WEB) == Row(9, of(["a"]).digest)


def test_leaving_without_a_moved_index_writes_nothing() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    before = world.table.stored_chunks.copy()
    world.poller.leave()
    assert world.table.stored_chunks == before


def test_there_and_back_ends_with_nothing_wanted() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    world.finish_all()
    world.look({WEB: answer(8, "b")})
    world.look({WEB: answer(9, "a")})
    assert world.wanted("one") is None
    assert world.row(WEB) == Row(9, of(["a"]).digest)


def test_a_replaced_snapshot_is_marked_for_expiry_and_the_new_one_is_not() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    world.look({WEB: answer(8, "b")})
    assert world.bucket.superseded == {f"views/{WEB.id}/{of(['a']).digest}"}
    world.look({WEB: answer(9, "a")})
    assert world.bucket.superseded == {f"views/{WEB.id}/{of(['b']).digest}"}


def test_a_snapshot_that_came_back_before_it_was_marked_does_not_expire() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    with failing(world.bus, "send", Unavailable("slow")), pytest.raises(Unavailable):
        world.look({WEB: answer(8, "b")})
    assert world.poller.next_due == world.clock.now
    world.look({WEB: answer(9, "a")})
    assert world.bucket.superseded == {f"views/{WEB.id}/{of(['b']).digest}"}
    assert world.poller.next_due is None


# ---- regular expressions ------------------------------------------------------------------


def test_a_regexp_needs_the_listing_and_what_it_matches() -> None:
    world = World(some=SOME)
    assert world.poller.views() == {LISTING}
    world.look({LISTING: answer(5, "api", "web")})
    assert world.poller.views() == {LISTING, WEB}
    assert world.wanted("some") is None, "web was not read yet"
    world.look({WEB: answer(6, "a")})
    assert world.wanted("some")


def test_a_name_that_does_not_match_changes_nothing_for_the_task() -> None:
    world = World(some=SOME)
    world.look({LISTING: answer(5, "web"), WEB: answer(5, "a")})
    world.finish_all()
    world.look({LISTING: answer(6, "api", "web")})
    assert world.wanted("some") is None


def test_a_service_that_leaves_the_listing_is_forgotten_and_the_task_wanted() -> None:
    world = World(some=SOME)
    world.look({LISTING: answer(5, "web"), WEB: answer(5, "a")})
    world.finish_all()
    world.look({LISTING: answer(6)})
    assert world.wanted("some")
    assert world.row(WEB) is None
    assert world.poller.views() == {LISTING}


def test_a_matched_service_without_instances_changes_nothing() -> None:
    world = World(some=SOME)
    world.look({LISTING: answer(5, "web"), WEB: answer(5, "a")})
    world.finish_all()
    world.look({LISTING: answer(6, "w2", "web"), View(services.SERVICE, "w2"): answer(6)})
    assert world.wanted("some") is None


def test_a_listing_whose_snapshot_is_gone_counts_as_not_read() -> None:
    world = World(some=SOME)
    world.look({LISTING: answer(5, "web"), WEB: answer(5, "a")})
    world.bucket.expire(f"views/{LISTING.id}/{of(['web']).digest}")
    assert world.new_poller().stored.firsts == {}


# ---- due ----------------------------------------------------------------------------------


def test_a_buffered_task_is_announced_when_its_wait_is_over() -> None:
    world = World(one=replace(ONE, buffer=BufferPeriod(5, 20)))
    world.look({WEB: answer(7, "a")})
    world.finish_all()
    world.bus.events.clear()
    world.look({WEB: answer(8, "b")})
    assert world.bus.of(TaskTriggered) == []
    assert world.poller.next_due == world.clock() + 5
    world.clock.now += 5
    world.poller.announce()
    world.poller.announce()
    assert [event.task for event in world.bus.of(TaskTriggered)] == ["one"]
    assert world.poller.next_due is None


def test_a_change_during_a_run_is_announced_when_its_wait_is_over() -> None:
    """The run may have ended by then, and nothing else would tell before the sweep does."""
    world = World(one=replace(ONE, buffer=BufferPeriod(5, 20)))
    world.look({WEB: answer(7, "a")})
    state = world.table.stored_states["one"]
    fingerprint = state.wanted[Reason.CHANGE].fingerprint
    claimed = claim(state, "one-1", fingerprint or "", "", world.clock())
    assert isinstance(claimed, Claimed)
    world.table.put_state(claimed.state)
    world.bus.events.clear()
    world.look({WEB: answer(8, "b")})
    assert world.table.stored_states["one"].running
    world.clock.now += 5
    world.poller.announce()
    assert [event.task for event in world.bus.of(TaskTriggered)] == ["one"]


def test_a_disabled_task_is_observed_and_not_announced() -> None:
    world = World(one=replace(ONE, enabled=False))
    world.look({WEB: answer(7, "a")})
    assert world.wanted("one")
    assert world.bus.of(TaskTriggered) == []


def test_what_could_not_be_sent_is_sent_again() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    world.finish_all()
    world.bus.events.clear()
    down = Unavailable("the bus is down")
    with failing(world.bus, "send", down), pytest.raises(Unavailable):
        world.look({WEB: answer(8, "b")})
    world.poller.announce()
    assert [event.task for event in world.bus.of(TaskTriggered)] == ["one"]


# ---- hand-over and faults -----------------------------------------------------------------


def test_a_deposed_poller_writes_nothing_more_and_leaves() -> None:
    world = World(one=ONE)
    old = world.poller
    world.new_poller()
    with pytest.raises(Deposed):
        old.look({WEB: answer(7, "a")})
    assert world.row(WEB) is None
    assert world.wanted("one") is None


def test_only_one_of_two_raises_the_epoch() -> None:
    world = World(one=ONE)
    read = world.table.lease()
    first, second = Poller(world.ports, world.generation), Poller(world.ports, world.generation)
    assert first.raise_epoch(read, replace(LEASE, epoch=2))
    assert not second.raise_epoch(read, replace(LEASE, epoch=2, owner="another"))


@pytest.mark.parametrize("answer", [False, Unavailable("time-out")])
def test_a_take_over_whose_answer_was_lost_is_known_by_its_owner(answer: bool | Exception) -> None:
    world = World(one=ONE)
    read, take = world.table.lease(), world.table.take

    def applied_and_lost(read: Lease | None, new: Lease) -> bool:
        take(read, new)
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.table.take = applied_and_lost  # type: ignore[method-assign]
    poller = Poller(world.ports, world.generation)
    assert poller.raise_epoch(read, replace(LEASE, epoch=2, owner="its own id"))
    assert poller.epoch == 2


def test_taking_over_derives_every_task_again() -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    world.table.stored_states.clear()
    world.new_poller()
    assert world.wanted("one")


def test_a_changed_definition_is_wanted_after_the_take_over_and_an_equal_one_is_not() -> None:
    world = World(one=ONE, both=BOTH)
    world.look({WEB: answer(7, "a"), API: answer(7, "b")})
    world.finish_all()
    tasks = {"one": replace(ONE, definition="d-new"), "both": replace(BOTH, description="new")}
    world.generation = Generation(2, 1, {}, tasks)
    world.new_poller()
    assert world.wanted("one")
    assert world.wanted("both") is None


@pytest.mark.parametrize("leaving", ["r-1", ""])
def test_what_could_not_be_destroyed_counts_while_that_is_wanted(leaving: str) -> None:
    task = replace(ONE, leaving="r-1", enabled=False)
    world = World(one=task)
    failed = TaskState("one", leaving="r-1", failures=1, gave_up="it is in use")
    world.table.put_state(failed)
    kept = replace(task, leaving=leaving, enabled=not leaving)
    world.generation = Generation(2, 1, {}, {"one": kept})
    world.new_poller().look({WEB: answer(7, "a")})
    assert bool(world.table.state("one").gave_up) is bool(leaving)


def test_the_snapshot_of_a_view_that_nothing_needs_any_more_expires() -> None:
    world = World(both=BOTH)
    world.look({WEB: answer(7, "a"), API: answer(7, "b")})
    world.generation = Generation(2, 1, {}, {"one": ONE})
    world.new_poller().announce()
    assert world.bucket.superseded == {f"views/{API.id}/{of(['b']).digest}"}


# ---- stale views --------------------------------------------------------------------------

STALE = {WEB.id: Stale("service web", 900.0, "no route")}


def test_what_became_stale_is_recorded_and_told_once() -> None:
    world = World(both=BOTH, one=ONE)
    told = [world.poller.record_stale(STALE) for _ in range(2)]
    assert told == [["service web could not be read: no route"], []]
    assert world.table.stored_stale.views == STALE
    [event] = world.bus.of(ViewStale)
    assert (event.id, event.tasks) == ("1/ViewStale", ["both", "one"])


def test_what_was_read_again_is_told_too() -> None:
    world = World(one=ONE)
    world.poller.record_stale(STALE)
    world.new_poller().record_stale({})
    assert world.table.stored_stale.views == {}
    assert [event.id for event in world.bus.of(ViewFresh)] == ["3/ViewFresh"]


def test_what_could_not_be_told_is_told_by_whoever_comes_next() -> None:
    world = World(one=ONE)
    with failing(world.bus, "send", Unavailable("no bus")), pytest.raises(Unavailable):
        world.poller.record_stale(STALE)
    assert world.table.stored_stale.views == STALE
    world.new_poller().record_stale(STALE)
    assert [event.id for event in world.bus.of(ViewStale)] == ["1/ViewStale"]
    assert world.table.stored_stale.unannounced == ()


def test_a_record_that_was_written_in_between_is_read_again() -> None:
    world = World(one=ONE)
    world.table.stored_stale = StaleViews(5)
    with pytest.raises(Unavailable):
        world.poller.record_stale(STALE)
    world.poller.record_stale(STALE)
    assert world.table.stored_stale.views == STALE


def test_a_deposed_poller_records_nothing() -> None:
    world = World(one=ONE)
    world.table.leased = replace(LEASE, epoch=9)
    with pytest.raises(Deposed):
        world.poller.record_stale(STALE)
    assert world.bus.of(ViewStale) == []


# ---- what is not needed -------------------------------------------------------------------


def test_a_view_that_nothing_needs_any_more_leaves_the_table() -> None:
    world = World(both=BOTH)
    world.look({WEB: answer(7, "a"), API: answer(7, "b")})
    world.generation = Generation(2, 1, {}, {"one": ONE})
    world.new_poller()
    assert world.row(API) is None
    assert world.row(WEB) is not None


def test_a_state_written_in_between_is_loaded_and_decided_again() -> None:
    world = World(one=ONE)
    held = replace(world.table.state("one"), hold="by a person")
    before_next(world.table, "commit", lambda: world.table.put_state(held))
    world.look({WEB: answer(7, "a")})
    assert world.wanted("one")
    assert world.table.state("one").hold == "by a person"


def test_a_row_that_a_runner_took_out_is_not_written_back() -> None:
    world = World(both=BOTH)
    world.look({WEB: answer(7, "a"), API: answer(7, "b")})
    world.table.drop_row(API.id, of(["b"]).digest)
    same_chunk = {WEB: answer(8, "c"), API: answer(7, "b")}
    rows = {view: row for view, row in world.poller.stored.rows.items() if view != API.id}
    world.poller.stored = replace(
        world.poller.stored, rows=rows
    )  # what live.py learns when a write of the chunk is refused
    world.look(same_chunk)
    assert world.row(API) == Row(7, of(["b"]).digest), "it was read afresh and stored"


@pytest.mark.parametrize("written", [False, True])
def test_after_an_unclear_write_it_looks_at_what_is_stored(*, written: bool) -> None:
    world = World(one=ONE)
    world.look({WEB: answer(7, "a")})
    world.finish_all()
    commit = world.table.commit

    def unclear(epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]) -> Commit:
        world.table.commit = commit  # type: ignore[method-assign]
        if written:
            commit(epoch, states, chunks)
        raise Unavailable("no answer")

    world.table.commit = unclear  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        world.look({WEB: answer(8, "b")})
    world.look({WEB: answer(9, "a")})
    assert world.wanted("one") is None
    assert world.row(WEB) is not None
    assert world.row(WEB).digest == of(["a"]).digest  # type: ignore[union-attr]


def test_differs_says_whether_there_is_anything_to_write() -> None:
    world = World(one=ONE)
    assert world.poller.differs({WEB: answer(7, "a")}, {})
    world.look({WEB: answer(7, "a")})
    assert not world.poller.differs({WEB: answer(9, "a")}, {})
    assert world.poller.differs({WEB: answer(9, "b")}, {})


# ---- transactions -------------------------------------------------------------------------


def test_one_change_of_many_tasks_takes_several_transactions_states_first() -> None:
    world = World(limit=3, **{f"t{n}": replace(ONE, definition=f"d{n}") for n in range(5)})
    written: list[tuple[int, int]] = []
    commit = world.table.commit

    def counted(epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]) -> Commit:
        written.append((len(states), len(chunks)))
        return commit(epoch, states, chunks)

    world.table.commit = counted  # type: ignore[method-assign]
    world.look({WEB: answer(7, "a")})
    assert written == [(2, 0), (2, 0), (1, 0), (0, 1)]


@pytest.mark.slow
@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 9))
def test_batches_hold_everything_once_within_the_limit_states_first(
    states: int, chunks: int, limit: int
) -> None:
    all_states = [TaskState(str(n)) for n in range(states)]
    all_chunks = [Chunk(str(n)) for n in range(chunks)]
    made = list(batches(all_states, all_chunks, limit))
    assert [state for some, _ in made for state in some] == all_states
    assert [chunk for _, some in made for chunk in some] == all_chunks
    assert all(0 < len(some) + len(others) <= limit for some, others in made)
    if len(made) > 1:
        kinds = [bool(some_chunks) for _, some_chunks in made]
        assert kinds == sorted(kinds)


def test_snapshots_are_put_before_anything_names_them() -> None:
    world = World(one=ONE)
    commit = world.table.commit

    def checked(epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]) -> Commit:
        for chunk in chunks:
            for view, row in chunk.rows.items():
                assert isinstance(world.bucket.get(view, row.digest), Snapshot)
        return commit(epoch, states, chunks)

    world.table.commit = checked  # type: ignore[method-assign]
    world.look({WEB: answer(7, "a")})
    assert world.row(WEB)
