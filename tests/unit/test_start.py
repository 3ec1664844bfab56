"""The runner: what is due becomes a claimed run and a build."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cts.conditions import services
from cts.conditions.services import service_row
from cts.errors import Altered, Invalid, NoBuildsAllowed, Refused, Unavailable
from cts.events import RunFinished, RunStarted
from cts.run.model import RunStatus
from cts.run.state import Reason, Wish
from cts.terraform.archive import content_digest, unzipped, zipped
from cts.terraform.definition import Module
from cts.watch.query import View
from cts.watch.snapshot import digest_of, of
from cts.workflow.start import StartOutcome
from cts.workflow.track import NEWS_AFTER
from tests.fake_consul import instance
from tests.fakes import before_next, failing
from tests.unit.system import LISTING, WEB, System, system


def test_a_due_task_is_claimed_archived_and_built() -> None:
    world = system()
    world.observe("web")
    assert world.start("web") is StartOutcome.STARTED
    run = world.running("web")
    assert (run.why, run.attempt, run.generation) == (("change",), 1, 1)
    assert run.inputs == {WEB.id: world.table.stored_chunks[WEB.id[:2]].rows[WEB.id].digest}
    assert run.build == "cts:1"
    assert world.table.slots() == {run.id}
    build = world.driver.builds["cts:1"]
    assert (build.run.id, build.archive) == (run.id, world.bucket.archive("web", run.id))
    [told] = world.bus.of(RunStarted)
    assert (told.run_id, told.build, told.correlation_id) == (run.id, "cts:1", "why")


def test_the_archive_is_what_was_loaded() -> None:
    world = system()
    run = world.started()
    archive = world.bucket.run_object("web", run.id, "archive.zip")
    assert archive is not None
    with zipfile.ZipFile(io.BytesIO(archive)) as made:
        assert made.read("execute.py") == b"print('the program')"
        assert b"port" in made.read("terraform.tfvars")
        about = json.loads(made.read("run.json"))
    assert (about["task"], about["run"]) == ("web", run.id)
    assert about["former_runs"] == []


def test_an_upgrade_of_an_agent_is_fed_to_the_next_run_and_starts_none() -> None:
    """Newer Consul has the agent's version in the meta of each node."""
    world = system()

    def upgraded(version: str) -> None:
        row = service_row(instance("web"))
        world.store(WEB, [{**row, "node_meta": {"consul-version": version}}])

    upgraded("1.18.1")
    world.done("web")
    upgraded("1.18.2")
    world.observe("web")
    assert world.start("web") is StartOutcome.NOT_DUE
    world.ask("web")
    assert world.start("web") is StartOutcome.STARTED
    archive = world.bucket.run_object("web", world.running("web").id, "archive.zip")
    with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
        assert b"1.18.2" in made.read("terraform.tfvars")


def test_the_same_event_twice_starts_one_run() -> None:
    world = system()
    world.observe("web")
    assert [world.start("web"), world.start("web")] == [StartOutcome.STARTED, StartOutcome.NOT_DUE]
    assert len(world.driver.builds) == 1


def test_an_event_for_a_task_that_is_not_due_starts_nothing() -> None:
    world = system()
    assert world.start("web") is StartOutcome.NOT_DUE


def test_a_task_that_the_configuration_does_not_name_is_gone() -> None:
    world = system()
    world.observe("web")
    del world.tasks["web"]
    world.publish()
    assert world.start("web") is StartOutcome.GONE
    assert System().start("web") is StartOutcome.GONE


def test_a_disabled_task_starts_nothing() -> None:
    world = system()
    world.observe("web")
    world.task("web", enabled=False)
    assert world.start("web") is StartOutcome.NOT_DUE


def test_it_reads_what_is_wanted_now_not_when_the_event_was_sent() -> None:
    world = system()
    world.observe("web")
    world.web(80, 81)
    world.observe("web")
    assert world.start("web") is StartOutcome.STARTED
    assert world.running("web").trigger == world.trigger("web")


def test_what_is_done_already_is_dropped() -> None:
    world = system()
    world.done("web")
    wish = Wish(0.0, 0.0, "", world.trigger("web"))
    world.put(replace(world.table.state("web"), wanted={Reason.CHANGE: wish}))
    assert world.start("web") is StartOutcome.DONE_ALREADY
    assert world.table.state("web").wanted == {}


def test_a_view_that_was_not_read_blocks_its_task_and_keeps_the_wish() -> None:
    world = system()
    world.observe("web")
    world.table.stored_chunks.clear()
    assert world.start("web") is StartOutcome.NOT_READ
    assert world.table.state("web").wanted


def test_a_snapshot_that_is_gone_has_its_row_taken_out() -> None:
    world = system()
    world.observe("web")
    digest = world.table.stored_chunks[WEB.id[:2]].rows[WEB.id].digest
    world.bucket.expire(f"views/{WEB.id}/{digest}")
    assert world.start("web") is StartOutcome.NOT_READ
    assert world.table.stored_chunks[WEB.id[:2]].rows == {}
    assert world.table.state("web").wanted


def test_a_row_that_is_newer_than_the_missing_snapshot_stays() -> None:
    world = system()
    old = world.table.stored_chunks[WEB.id[:2]].rows[WEB.id].digest
    world.web(80, 81)
    world.table.drop_row(WEB.id, old)
    assert WEB.id in world.table.stored_chunks[WEB.id[:2]].rows


def test_a_regexp_is_fed_with_what_it_matches() -> None:
    world = System()
    world.task("all", regexp="^w")
    world.web(80)
    world.store(LISTING, ["consul", "w2", "web"])
    world.store(View(services.SERVICE, "w2"), [])
    world.observe("all")
    assert world.start("all") is StartOutcome.STARTED
    assert set(world.running("all").inputs) == {WEB.id, View(services.SERVICE, "w2").id}


def test_a_listing_whose_snapshot_is_gone_blocks_a_regexp() -> None:
    world = System()
    world.task("all", regexp="^w")
    world.web(80)
    world.store(LISTING, ["web"])
    world.observe("all")
    world.bucket.expire(f"views/{LISTING.id}/{of(['web']).digest}")
    assert world.start("all") is StartOutcome.NOT_READ
    assert LISTING.id not in world.table.stored_chunks[LISTING.id[:2]].rows


def test_without_a_slot_the_task_queues_and_keeps_its_place() -> None:
    world = system(cap=1)
    world.task("other")
    world.started("web")
    world.observe("other")
    since = world.clock()
    assert world.start("other") is StartOutcome.QUEUED
    world.clock.now += 10
    assert world.start("other") is StartOutcome.QUEUED
    state = world.table.state("other")
    assert state.queued_since == since
    assert state.running is None
    assert [run.task for run in world.table.runs(None, 9)] == ["web"]
    assert not [key for key in world.bucket.objects if key.startswith("runs/other/")]


def test_a_generation_that_was_replaced_meanwhile_claims_nothing() -> None:
    world = system()
    world.observe("web")
    before_next(world.table, "rows", world.publish)
    assert world.start("web") is StartOutcome.BUSY
    assert world.table.slots() == frozenset()


def test_a_state_that_was_written_meanwhile_claims_nothing() -> None:
    world = system()
    world.observe("web")
    before_next(world.table, "rows", lambda: world.ask("web"))
    assert world.start("web") is StartOutcome.BUSY


@pytest.mark.parametrize("error", [Invalid("no such parameter"), NoBuildsAllowed("open a case")])
def test_a_build_that_may_not_start_ends_the_run_and_says_why(error: Refused) -> None:
    world = system()
    world.observe("web")
    world.driver.error = error
    assert world.start("web") is StartOutcome.REFUSED
    [run] = world.table.runs("web", 9)
    assert run.status is RunStatus.ERRORED
    assert run.end is not None
    assert run.end.error == str(error)
    state = world.table.state("web")
    assert state.gave_up
    assert world.table.slots() == frozenset()
    [told] = world.bus.of(RunFinished)
    assert told.error == str(error)
    assert world.metrics.counted["RunsFailed"] == [1]


@pytest.mark.parametrize("says", ["the role can't be assumed yet", "no such project", "denied"])
def test_what_a_deployment_refuses_for_a_while_is_tried_again(says: str) -> None:
    world = system()
    world.observe("web")
    world.driver.error = Refused(says)
    assert world.start("web") is StartOutcome.REFUSED
    state = world.table.state("web")
    assert (state.gave_up, state.running, state.recent[0].error) == (None, None, says)
    world.driver.error = None
    assert state.retry_at is not None
    world.clock.now = state.retry_at
    assert world.start("web") is StartOutcome.STARTED


def test_a_role_that_is_refused_ends_the_run_before_it_is_claimed() -> None:
    world = system()
    world.observe("web")
    world.sts.error = Refused("assuming the role: AccessDenied")
    assert world.start("web") is StartOutcome.REFUSED
    [run] = world.table.runs("web", 9)
    assert run.end is not None
    assert (run.end.error, run.end.step) == ("assuming the role: AccessDenied", "start")
    state = world.table.state("web")
    assert (state.running, state.failures, world.table.slots()) == (None, 1, frozenset())
    assert (world.driver.builds, [told.run_id for told in world.bus.of(RunFinished)]) == (
        {},
        [run.id],
    )
    world.sts.error = None
    world.clock.now = state.retry_at or 0.0
    assert world.start("web") is StartOutcome.STARTED


def test_a_role_that_cannot_be_asked_for_claims_nothing() -> None:
    world = system()
    world.observe("web")
    world.sts.error = Unavailable("STS does not answer")
    with pytest.raises(Unavailable):
        world.start("web")
    assert world.table.runs("web", 9) == []
    world.sts.error = None
    assert world.start("web") is StartOutcome.STARTED


def test_what_a_run_starts_with_is_stored_before_it_is_claimed() -> None:
    """Whoever dies after the claim leaves a run that can be started."""
    world = system()
    world.observe("web")
    found: list[str] = []
    before_next(world.table, "claim", lambda: found.extend(world.bucket.objects))
    assert world.start("web") is StartOutcome.STARTED
    run = world.running("web")
    assert {f"runs/web/{run.id}/archive.zip", f"builds/{run.folder}/archive.zip"} <= {*found}


@pytest.mark.parametrize("lost", ["state", "slot"])
def test_of_a_run_that_another_claim_came_before_no_credentials_stay(lost: str) -> None:
    world = system(cap=1)
    world.observe("web")
    happens = {"state": lambda: world.ask("web"), "slot": lambda: world.table.held_slots.add("x")}
    before_next(world.table, "claim", happens[lost])
    expected = {"state": StartOutcome.BUSY, "slot": StartOutcome.QUEUED}
    assert world.start("web") is expected[lost]
    assert len(world.sts.asked) == 1
    assert [key for key in world.bucket.objects if key.startswith("builds/")] == []


def test_a_run_that_is_started_again_gets_new_credentials() -> None:
    world = system()
    world.observe("web")
    with failing(world.driver, "start", Unavailable("gone")), pytest.raises(Unavailable):
        world.start("web")
    run = world.running("web")
    world.clock.now += NEWS_AFTER
    assert world.sweep().restarted == [run.id]
    first, second = world.bucket.objects[f"builds/{run.folder}/archive.zip"]
    keys = [json.loads(unzipped(body)["session.json"])["AccessKeyId"] for body in (first, second)]
    assert keys == ["ASIA1", "ASIA2"]


def broken_definition(world: System) -> None:
    world.bucket.expire(f"definitions/{world.tasks['web'].definition}")


def module_that_is_gone(world: System) -> None:
    use_module(world, "digest-of-what-is-gone")


def altered_definition(world: System) -> None:
    """A spelling of the same definition, which would be read as that one."""
    key = f"definitions/{world.tasks['web'].definition}"
    world.bucket.write(key, world.bucket.objects[key][-1] + b" ")


def altered_module(world: System) -> None:
    digest = content_digest({"main.tf": b""})
    world.bucket.put_compiled([], {digest: zipped({"main.tf": b'output "evil" {}'})})
    use_module(world, digest)


def module_that_is_no_zip(world: System) -> None:
    world.bucket.write("modules/odd.zip", b"no zip at all")
    use_module(world, "odd")


def use_module(world: System, digest: str) -> None:
    entry = world.tasks["web"]
    definition = replace(
        world.bucket.definition(entry.definition), module=Module("./m", digest=digest)
    )
    world.bucket.put_definition(definition)
    world.tasks["web"] = replace(entry, definition=definition.digest)
    world.publish()


@pytest.mark.parametrize(
    "happens",
    [
        broken_definition,
        altered_definition,
        module_that_is_gone,
        altered_module,
        module_that_is_no_zip,
    ],
)
def test_a_task_that_cannot_be_rendered_says_so(happens: Callable[[System], None]) -> None:
    world = system()
    happens(world)
    world.observe("web")
    assert world.start("web") is StartOutcome.NOT_RENDERED
    state = world.table.state("web")
    assert (state.running, state.failed) == (None, world.trigger("web"))
    assert state.gave_up
    assert "rendering the run" in (state.recent[0].error or "")
    assert world.table.slots() == frozenset()
    [told] = world.bus.of(RunFinished)
    assert told.error == state.recent[0].error
    assert world.start("web") is StartOutcome.NOT_DUE
    world.web(80, 81)
    world.observe("web")
    assert world.table.state("web").gave_up is None, "other data: it is tried again"
    assert world.start("web") is not StartOutcome.NOT_DUE


def test_with_altered_data_nothing_starts_until_it_is_gone() -> None:
    world = system()
    world.observe("web")
    [key] = [key for key in world.bucket.objects if key.startswith("views/")]
    world.bucket.write(key, b"[]")
    with pytest.raises(Altered, match=f"{key}: its content has the digest"):
        world.start("web")
    assert (world.driver.builds, world.table.state("web").running) == ({}, None)
    world.bucket.expire(key)
    assert world.start("web") is StartOutcome.NOT_READ


def test_an_outage_while_it_renders_is_no_failure() -> None:
    world = system()
    world.observe("web")
    down = Unavailable("S3 does not answer")
    with failing(world.bucket, "definition", down), pytest.raises(Unavailable):
        world.start("web")
    assert world.table.state("web").recent == ()
    assert world.start("web") is StartOutcome.STARTED


def use_newer_definition(world: System, newer: dict[str, Any]) -> None:
    """As a newer version has published it."""
    entry = world.tasks["web"]
    [body] = world.bucket.objects[f"definitions/{entry.definition}"]
    made = json.dumps(json.loads(body) | newer).encode()
    world.bucket.write(f"definitions/{digest_of(made)}", made)
    world.tasks["web"] = replace(entry, definition=digest_of(made))
    world.publish()
    world.observe("web")


def test_a_definition_of_a_newer_version_is_left_to_a_newer_runner() -> None:
    world = system()
    use_newer_definition(world, {"approval": True})
    with pytest.raises(Unavailable, match="a newer one runs it"):
        world.start("web")
    assert (world.table.slots(), world.table.state("web").recent) == (frozenset(), ())


@pytest.mark.parametrize(
    "newer",
    [
        {"inputs": [{"kind": "moon", "names": ["a"]}]},
        {"inputs": [{"kind": "schedule", "cron": "* * * * *"}]},
        {"condition": {"kind": "moon"}},
        {"condition": {"names": ["web"], "others": [{"kind": "moon"}]}},
    ],
)
def test_a_definition_that_only_a_newer_version_reads_is_left_to_it(newer: dict[str, Any]) -> None:
    world = system()
    former = world.tasks["web"]
    use_newer_definition(world, newer)
    with pytest.raises(Unavailable, match="reading definitions/"):
        world.start("web")
    state = world.table.state("web")
    assert (state.gave_up, state.recent, world.table.slots()) == (None, (), frozenset())
    world.tasks["web"] = former
    world.publish()
    assert world.sweep().triggered == ["web"]
    assert world.start("web") is StartOutcome.STARTED


def test_a_driver_that_is_unavailable_leaves_the_run_to_the_sweep() -> None:
    world = system()
    world.observe("web")
    world.driver.error = Unavailable("busy")
    with pytest.raises(Unavailable):
        world.start("web")
    assert world.running("web").build is None
    assert world.bucket.run_object("web", world.running("web").id, "started") is None


def test_a_run_whose_build_could_not_be_recorded_is_not_told_yet() -> None:
    world = system()
    world.observe("web")
    died = Unavailable("killed")
    with failing(world.table, "record_build", died), pytest.raises(Unavailable):
        world.start("web")
    assert world.bus.of(RunStarted) == []


def test_a_retry_counts_its_attempt_and_another_change_starts_anew() -> None:
    world = system()
    world.observe("web")
    trigger = world.trigger("web")
    world.put(replace(world.table.state("web"), failures=2, failed=trigger, retry_at=0.0))
    world.start("web")
    assert world.running("web").attempt == 3
    other = system()
    other.observe("web")
    other.put(replace(other.table.state("web"), failures=2, failed="another", retry_at=9e9))
    other.start("web")
    assert other.running("web").attempt == 1


@pytest.mark.parametrize("method", ["definition", "put_archive"])
def test_who_cannot_be_started_now_leaves_the_queue(method: str) -> None:
    world = system()
    world.observe("web")
    world.put(replace(world.table.state("web"), queued_since=1.0))
    down = Unavailable("S3 does not answer")
    with failing(world.bucket, method, down), pytest.raises(Unavailable):
        world.start("web")
    state = world.table.state("web")
    assert (state.queued_since, len(state.wanted)) == (None, 1)


def test_who_has_nothing_to_do_leaves_the_queue() -> None:
    """It is wanted for other data than what is stored, which is done."""
    world = system()
    world.done("web")
    wish = Wish(0.0, 0.0, "why", "what is not stored yet")
    state = replace(world.table.state("web"), wanted={Reason.CHANGE: wish}, queued_since=1.0)
    world.put(state)
    assert world.start("web") is StartOutcome.DONE_ALREADY
    state = world.table.state("web")
    assert (state.queued_since, state.wanted) == (None, {Reason.CHANGE: wish})
