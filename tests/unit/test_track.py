"""The tracker: how builds end, and the one sweep."""

import json
from contextlib import ExitStack
from dataclasses import asdict, replace

import pytest

from cts.adapters.codebuild import LIMITS
from cts.errors import Refused, Unavailable, Unreadable
from cts.events import ConfigPublished, ConfigRejected, RunFinished
from cts.generation import Rejected
from cts.run.model import Orphan, RunStatus
from cts.run.state import unreadable_state
from cts.stored import dump
from cts.workflow import shown_runs
from cts.workflow.start import StartOutcome
from cts.workflow.track import NEWS_AFTER
from tests.fakes import before_next, build_event, failing
from tests.unit.system import System, system

AT = "2026-01-01T00:00:00.5Z"

# ---- a build's end ------------------------------------------------------------------------


def test_a_success_is_recorded_told_and_frees_its_slot() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.write(run, "applying", "")
    counts = {"add": 1, "change": 0, "destroy": 0}
    world.result(run, "applied", counts=counts, terraform="1.13.0", at={"started": AT})
    world.clock.now += 30
    report = world.ends(run)
    row = world.table.stored_runs[run.id]
    assert (row.status, row.ended_at) == (RunStatus.APPLIED, world.clock())
    assert row.end is not None
    assert (row.end.counts, row.end.terraform, row.end.times) == (
        counts,
        "1.13.0",
        {"started": AT},
    )
    state = world.table.state("web")
    assert state.done is not None
    assert (state.done.run, state.running, state.unannounced) == (run.id, None, ())
    assert world.table.slots() == frozenset()
    [told] = world.bus.of(RunFinished)
    assert (told.id, told.status) == (f"{run.id}/RunFinished", "applied")
    assert [each.status for each in report.settled] == [RunStatus.APPLIED]
    assert world.metrics.counted["RunSeconds"] == [30.0]


def test_the_same_news_again_changes_nothing() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.result(run, "unchanged")
    world.ends(run)
    before = world.table.state("web")
    assert world.ends(run).settled == []
    assert world.table.state("web") == before
    assert len(world.bus.of(RunFinished)) == 1


def test_a_busy_run_has_applied_nothing_even_if_the_lock_was_taken_after_its_plan() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.write(run, "applying", {})
    world.result(run, "busy", error="the state is locked by a@b", step="apply")
    world.ends(run)
    row, state = world.table.stored_runs[run.id], world.table.state("web")
    assert row.end
    assert (row.status, row.end.apply_began) == (RunStatus.BUSY, False)
    assert (state.failures, state.recent, state.gave_up) == (0, (), None)
    assert state.wanted
    world.clock.now = row.retry_at or 0
    assert world.sweep().triggered == ["web"]


def test_orphans_are_in_the_row_of_the_run_that_names_them() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    orphan = Orphan("web-0", 'x.y["a"]', "7", "created")
    named = {"run": "web-0", "address": 'x.y["a"]', "id": "7", "seen": "created"}
    world.result(run, "applied", orphans=[named])
    world.ends(run)
    end = world.table.stored_runs[run.id].end
    assert end
    assert end.orphans == (orphan,)


def test_a_failure_says_when_it_is_tried_again() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.result(run, "errored", error="no such host", step="plan")
    world.ends(run, "FAILED")
    [told] = world.bus.of(RunFinished)
    assert (told.status, told.error, told.gave_up) == ("errored", "no such host", None)
    assert told.retry_at is not None
    assert world.table.state("web").retry_at == world.clock() + 10


def test_a_build_that_was_killed_in_its_apply_leaves_nothing_done() -> None:
    world = system()
    world.done("web")
    world.web(80, 81)
    run = world.started()
    world.begins(run)
    world.write(run, "applying", "")
    world.ends(run, "STOPPED")
    state = world.table.state("web")
    assert (state.done, state.failures) == (None, 1)
    assert "during its apply" in (state.recent[0].error or "")


def test_a_build_that_was_killed_before_its_apply_leaves_the_former_success() -> None:
    world = system()
    world.done("web")
    done = world.table.state("web").done
    world.web(80, 81)
    run = world.started()
    world.begins(run)
    world.ends(run, "TIMED_OUT")
    assert world.table.state("web").done == done


def test_a_build_that_ended_before_its_first_command_is_given_up() -> None:
    world = system()
    run = world.started()
    report = world.ends(run, "FAULT")
    assert [each.status for each in report.settled] == [RunStatus.ERRORED]
    assert world.table.state("web").failures == 1
    assert world.bucket.put_if_absent("web", run.id, "started", b"") is False
    [told] = world.bus.of(RunFinished)
    assert "before its first command" in (told.error or "")


def test_only_the_build_that_began_is_believed() -> None:
    world = system()
    run = world.started()
    world.begins(run, build="cts:9")
    assert world.ends(run, build="cts:1").settled == []
    assert world.table.state("web").running is not None


def test_news_of_a_run_that_was_given_up_changes_nothing() -> None:
    world = system()
    run = world.started()
    world.write(run, "started", {"build": None, "error": None, "retryable": True})
    assert world.ends(run).settled == []


@pytest.mark.parametrize("status", ["IN_PROGRESS", "QUEUED"])
def test_a_build_that_goes_on_is_no_news(status: str) -> None:
    world = system()
    run = world.started()
    world.begins(run)
    assert world.ends(run, status).settled == []


def test_news_of_an_unknown_run_is_no_news() -> None:
    news = build_event("web", "web-x", "cts:1", "SUCCEEDED")
    assert system().hears(news).settled == []


def test_whoever_frees_a_slot_announces_who_waited_longest() -> None:
    world = system(cap=2)
    for name in ("first", "second", "other"):
        world.task(name)
    run = world.started("web")
    world.started("other")
    for name in ("first", "second"):
        world.observe(name)
        world.clock.now += 1
        assert world.start(name) is StartOutcome.QUEUED
    world.begins(run)
    world.result(run, "unchanged")
    world.bus.events.clear()
    world.ends(run)
    assert world.triggered == ["first"]


def test_the_sweep_wakes_nobody_while_no_slot_is_free() -> None:
    world = system(cap=1)
    world.task("lost")
    run = world.started("web")
    world.observe("lost")
    assert world.sweep().triggered == []
    world.begins(run)
    world.result(run, "unchanged")
    world.ends(run)
    assert world.sweep().triggered == ["lost"]


@pytest.mark.parametrize("holder", ["a run without news", "no run"])
def test_the_sweep_that_frees_a_slot_wakes_who_waits_for_it(holder: str) -> None:
    world = system(cap=1)
    world.task("queued")
    if holder == "no run":
        world.table.held_slots.add("gone-1")
    else:
        run = world.started("web")
        world.begins(run)
        world.result(run, "unchanged")
        world.driver.builds["cts:1"].status = "SUCCEEDED"
    world.observe("queued")
    assert world.start("queued") is StartOutcome.QUEUED
    world.clock.now += NEWS_AFTER
    assert world.sweep().triggered == ["queued"]


def test_as_many_are_woken_as_slots_are_free() -> None:
    world = system(cap=2)
    for name in ("first", "second", "third"):
        world.task(name)
    runs = [world.started("web")]
    for name in ("first", "second", "third"):
        world.observe(name)
        world.clock.now += 1
    runs.append(world.started("first"))
    assert [world.start(name) for name in ("second", "third")] == [StartOutcome.QUEUED] * 2
    world.bus.events.clear()
    assert world.sweep().triggered == [], "no slot is free"
    for run in runs:
        world.begins(run)
        world.result(run, "unchanged")
    before_next(world.table, "slots", world.table.held_slots.clear)
    world.ends(runs[0])
    assert world.triggered == ["second", "third"]


def test_a_task_that_waits_for_a_view_is_not_woken_instead_of_one_that_waits_for_a_slot() -> None:
    world = system(cap=1)
    for name in ("blocked", "next"):
        world.task(name)
    run = world.started("web")
    for name in ("blocked", "next"):
        world.observe(name)
        world.clock.now += 1
        assert world.start(name) is StartOutcome.QUEUED
    chunks = dict(world.table.stored_chunks)
    woken = []
    for _ in range(2):
        world.begins(run)
        world.result(run, "unchanged")
        world.bus.events.clear()
        world.ends(run)
        woken += world.triggered
        if world.triggered == ["blocked"]:
            world.table.stored_chunks.clear()
            assert world.start("blocked") is StartOutcome.NOT_READ
            world.table.stored_chunks.update(chunks)
            world.ask("web")
            assert world.start("web") is StartOutcome.STARTED
            run = world.running("web")
    assert woken == ["blocked", "next"]
    assert world.sweep().triggered == ["next", "blocked"]


def test_what_was_wanted_meanwhile_is_announced_at_once() -> None:
    world = system()
    run = world.started()
    world.web(80, 81)
    world.observe("web")
    world.begins(run)
    world.result(run, "unchanged")
    world.bus.events.clear()
    world.ends(run)
    assert world.triggered == ["web"]


# ---- the sweep ----------------------------------------------------------------------------


def test_what_is_due_and_was_not_heard_is_announced_again() -> None:
    world = system()
    world.task("off", enabled=False)
    world.observe("web")
    world.observe("off")
    assert world.sweep().triggered == ["web"]
    assert world.sweep().triggered == ["web"]


def test_a_task_that_is_not_configured_is_not_announced() -> None:
    world = system()
    world.observe("web")
    del world.tasks["web"]
    world.publish()
    assert world.sweep().triggered == []
    world.table.live = None
    assert world.sweep().triggered == []


def test_a_run_without_news_is_asked_for() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.result(run, "unchanged")
    world.driver.builds["cts:1"].status = "SUCCEEDED"
    assert world.sweep().settled == [], "news may still come"
    world.clock.now += NEWS_AFTER
    assert len(world.sweep().settled) == 1
    assert world.table.state("web").done is not None


def test_what_a_build_leaves_is_read_once_it_has_ended() -> None:
    """It begins and ends while it is asked for."""
    world = system()
    run = world.started()

    def begins_and_ends() -> None:
        world.begins(run)
        world.result(run, "applied")
        world.driver.builds["cts:1"].status = "SUCCEEDED"

    before_next(world.driver, "status", begins_and_ends)
    world.clock.now += NEWS_AFTER
    [settled] = world.sweep().settled
    assert settled.status is RunStatus.APPLIED


def test_a_build_that_goes_on_is_left_alone() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.clock.now += 3_000
    assert world.sweep().settled == []
    assert world.table.state("web").running is not None


def test_a_living_build_that_an_answer_leaves_out_goes_on() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    builds, world.driver.builds = world.driver.builds, {}
    world.clock.now += NEWS_AFTER
    for _ in range(20):
        assert world.sweep().settled == []
        world.clock.now += 60
    world.driver.builds = builds
    assert world.running("web").id == run.id
    world.result(run, "applied")
    assert len(world.ends(run).settled) == 1


def test_a_build_that_nobody_knows_has_ended_when_its_time_is_long_up() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.driver.builds.clear()
    world.clock.now += LIMITS.longest
    [settled] = world.sweep().settled
    assert settled.end is not None
    assert "the build stopped responding" in (settled.end.error or "")
    assert world.former_runs() == [], "no lock is released for a build that nobody saw end"


def test_a_build_that_codebuild_does_not_know_and_that_said_how_it_ended_has_ended() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.result(run, "errored", error="no such host")
    world.driver.builds.clear()
    world.clock.now += NEWS_AFTER
    [settled] = world.sweep().settled
    assert settled.end is not None
    assert settled.end.error == "no such host"
    assert world.former_runs() == [run.id]


def test_a_build_that_never_began_is_waited_for_as_long() -> None:
    world = system()
    world.started()
    world.driver.builds.clear()
    world.clock.now += NEWS_AFTER
    assert world.sweep().settled == []
    world.clock.now += LIMITS.longest
    [settled] = world.sweep().settled
    assert settled.status is RunStatus.ERRORED


def test_a_run_whose_row_expired_does_not_hold_its_slot_for_ever() -> None:
    world = system(cap=1)
    run = world.started()
    del world.table.stored_runs[run.id]
    world.driver.builds.clear()
    world.clock.now += 86_400
    assert len(world.sweep().settled) == 1
    assert world.table.slots() == frozenset()
    assert world.table.state("web").running is None
    assert world.start("web") is StartOutcome.STARTED, "it is still wanted"


def claimed_only(world: System) -> None:
    """The runner dies right after StartBuild: the build's id is not recorded."""
    world.observe("web")
    died = Unavailable("killed")
    with failing(world.table, "record_build", died), pytest.raises(Unavailable):
        world.start("web")


def test_a_run_whose_build_is_not_known_is_started_again_and_is_the_same_build() -> None:
    world = system()
    claimed_only(world)
    world.clock.now += NEWS_AFTER
    report = world.sweep()
    assert report.restarted == [world.running("web").id]
    assert list(world.driver.builds) == ["cts:1"]
    assert world.running("web").build == "cts:1"


def test_a_run_without_an_archive_is_unclaimed() -> None:
    world = system()
    claimed_only(world)
    run = world.running("web")
    world.bucket.expire(f"runs/web/{run.id}/archive.zip")
    world.clock.now += NEWS_AFTER
    report = world.sweep()
    assert [each.id for each in report.settled] == [run.id]
    assert world.table.stored_runs[run.id].status is RunStatus.CANCELED
    state = world.table.state("web")
    assert (state.running, state.failures, state.unannounced) == (None, 0, ())
    assert world.table.slots() == frozenset()
    assert report.triggered == ["web"], "it is still wanted"


def test_an_old_run_is_not_started_again() -> None:
    world = system()
    claimed_only(world)
    world.clock.now += LIMITS.restart
    assert world.sweep().restarted == []
    assert world.table.state("web").running is None


def test_a_run_that_began_after_all_is_not_given_up() -> None:
    world = system()
    claimed_only(world)
    run = world.running("web")
    world.clock.now += LIMITS.restart
    before_next(world.bucket, "put_if_absent", lambda: world.begins(run, build="cts:1"))
    assert world.sweep().settled == []
    assert world.table.state("web").running is not None


def test_a_run_that_somebody_gave_up_and_did_not_settle_is_settled() -> None:
    world = system()
    run = world.started()
    record = {"build": None, "error": "no builds allowed", "retryable": False}
    world.write(run, "started", record)
    world.clock.now += NEWS_AFTER
    world.sweep()
    assert world.table.stored_runs[run.id].status is RunStatus.ERRORED
    assert world.table.state("web").gave_up


@pytest.mark.parametrize(
    ("error", "runs"), [(Unavailable("busy"), True), (Refused("no such project"), False)]
)
def test_a_second_start_that_fails(error: Exception, *, runs: bool) -> None:
    world = system()
    claimed_only(world)
    world.clock.now += NEWS_AFTER
    world.driver.error = error
    world.sweep()
    assert (world.table.state("web").running is not None) is runs


def test_what_is_unannounced_is_sent_and_cleared() -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.result(run, "unchanged")
    world.ends(run)
    world.bus.events.clear()
    world.put(replace(world.table.state("web"), unannounced=(f"{run.id}/RunFinished",)))
    world.sweep()
    assert [event.run_id for event in world.bus.of(RunFinished)] == [run.id]
    assert world.table.state("web").unannounced == ()


def test_one_sweep_tells_of_a_run_once() -> None:
    """What an earlier run left unannounced goes with the end that the sweep itself finds."""
    world = system()
    first = world.started()
    world.begins(first)
    world.result(first, "unchanged")
    world.ends(first)
    world.ask("web")
    assert world.start("web") is StartOutcome.STARTED
    second = world.running("web")
    world.begins(second)
    world.result(second, "unchanged")
    world.driver.builds[second.build or ""].status = "SUCCEEDED"
    world.put(replace(world.table.state("web"), unannounced=(f"{first.id}/RunFinished",)))
    world.bus.events.clear()
    world.metrics.counted.clear()
    world.clock.now += NEWS_AFTER
    world.sweep()
    assert [event.run_id for event in world.bus.of(RunFinished)] == [first.id, second.id]
    assert len(world.metrics.counted["RunsSucceeded"]) == 2


def test_a_configuration_that_was_not_announced_is() -> None:
    world = system()
    assert world.table.live is not None
    owed = asdict(ConfigPublished("v0/ConfigPublished", 0, "v0", [], [], []))
    live = replace(world.table.live, unannounced=["v1/ConfigPublished"], owed=[owed])
    world.table.live = live
    sources = {"config/bundle.zip": "v2"}
    world.table.refused = Rejected(sources, 1, 5.0, 1, [], ["v2/ConfigRejected"])
    world.sweep()
    world.sweep()
    told = [event.id for event in world.bus.of(ConfigPublished)]
    assert told == ["v0/ConfigPublished", "v1/ConfigPublished"]
    assert world.metrics.counted["ConfigsRejected"] == [1]
    assert [event.id for event in world.bus.of(ConfigRejected)] == ["v2/ConfigRejected"]


def test_a_slot_that_no_run_holds_is_freed() -> None:
    world = system()
    run = world.started()
    world.table.held_slots.add("gone-1")
    world.sweep()
    assert world.table.slots() == {run.id}


@pytest.mark.parametrize("reads", ["slots", "all_states"])
def test_the_slot_of_a_run_that_is_claimed_during_a_sweep_is_kept(reads: str) -> None:
    world = system()
    world.observe("web")
    before_next(world.table, reads, lambda: world.start("web"))
    world.sweep()
    assert world.table.slots() == {world.running("web").id}


def test_a_task_that_cannot_be_looked_after_does_not_keep_the_others_waiting() -> None:
    world = system()
    world.task("other")
    run = world.started("web")
    world.begins(run)
    world.observe("other")
    world.clock.now += NEWS_AFTER
    down = Unavailable("CodeBuild does not answer")
    with failing(world.driver, "status", down):
        report = world.sweep()
    assert world.triggered == ["other"]
    assert report.errors == [down]


def test_what_waits_is_measured_even_if_it_cannot_be_read_again() -> None:
    world = system()
    world.task("other")
    world.begins(world.started("web"))
    world.observe("other")
    world.clock.now += NEWS_AFTER
    down = Unavailable("DynamoDB does not answer")
    with ExitStack() as faults:
        before_next(
            world.driver,
            "status",
            lambda: faults.enter_context(failing(world.table, "all_states", down)),
        )
        report = world.sweep()
    assert report.errors == [down]
    assert report.oldest_change == NEWS_AFTER


# ---- nonsense ------------------------------------------------------------------------------

NONSENSE = [
    b"",
    b"no JSON",
    b"[" * 100_000,
    b"[]",
    b"7",
    b"{}",
    b'{"build": 7}',
    b'{"build": []}',
    b'{"build": ""}',
    b'{"build": null}',
    b'{"build": null, "error": ["a"], "retryable": "no"}',
    rb'{"build": null, "error": "\ud800"}',
]
ENDS: list[object] = [
    None,
    [],
    7,
    {"status": ["errored"]},
    {"status": 1},
    {"status": "gone"},
    {"status": "errored", "error": ["a"], "retryable": [], "step": {}, "counts": 7, "at": "now"},
    {"status": "errored", "error": "x" * 1_000_000},
    {"status": "errored", "error": "\ud800", "terraform": 1.11},
    {"status": "applied", "counts": {"add": "one", "change": True}, "at": {"init": "soon", "x": 1}},
    {"status": "applied", "orphans": {"address": "x"}},
    {"status": "applied", "orphans": [None, 7, {"address": ["x"]}, *[{"id": "x" * 9999}] * 999]},
    {"status": "applied", "modules": 7, "providers": [None, {"source": 7, "digest": ["x"]}]},
    {"status": "applied", "providers": [{"source": "x" * 9999, "digest": "x" * 9999}] * 999},
    {"status": "busy", "because": 7},
    {"status": "applied", "at": {f"step-{n}": "2026-01-01T00:00:00Z" for n in range(5000)}},
]


@pytest.mark.parametrize("body", NONSENSE, ids=range(len(NONSENSE)))
def test_whatever_stands_in_a_record_its_run_ends_and_the_others_are_looked_after(
    body: bytes,
) -> None:
    world = system()
    world.task("other")
    run = world.started("web")
    world.bucket.write(f"runs/web/{run.id}/started", body)
    other = world.started("other")
    world.begins(other)
    world.result(other, "applied")
    for build in world.driver.builds.values():
        build.status = "SUCCEEDED"
    world.clock.now += NEWS_AFTER
    report = world.sweep()
    assert {each.id for each in report.settled} == {run.id, other.id}
    assert report.errors == []
    assert_shown(world)


@pytest.mark.parametrize("record", ENDS, ids=range(len(ENDS)))
def test_whatever_stands_in_a_result_its_run_ends_and_is_shown(record: object) -> None:
    world = system()
    run = world.started()
    world.begins(run)
    world.write(run, "result.json", record)
    assert len(world.ends(run, "FAILED").settled) == 1
    assert_shown(world)


def assert_shown(world: System) -> None:
    """What was stored fits an item, is text, and can be shown."""
    for run in world.table.stored_runs.values():
        assert len(json.dumps(shown_runs.run(run)).encode()) < 20_000
        run.id.encode()
        json.dumps(dump(run), ensure_ascii=False).encode()


def test_a_state_that_cannot_be_read_fails_only_its_task() -> None:
    world = system(cap=2)
    world.task("other")
    run = world.started("web")
    text = '{"task": "web", "running": 7}'
    world.table.stored_states["web"] = unreadable_state("web", text, 4, "running must be an object")
    world.observe("other")
    report = world.sweep()
    assert report.triggered == ["other"]
    [error] = report.errors
    assert "web" in str(error)
    assert "running must be an object" in str(error)
    assert run.id in world.table.slots(), "what it runs is not known"


@pytest.mark.parametrize("method", ["run", "free_slot"])
def test_what_cannot_be_read_or_freed_keeps_no_other_waiting(method: str) -> None:
    world = system()
    world.task("other")
    world.begins(world.started("web"))
    world.observe("other")
    world.table.held_slots.add("gone-1-1")
    world.clock.now += NEWS_AFTER
    with failing(world.table, method, Unreadable("reading TASK#web")):
        report = world.sweep()
    assert report.triggered == ["other"]
    assert len(report.errors) == 1
