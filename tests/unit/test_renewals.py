"""Credentials of builds: the sweep renews them in good time, and they go when a run has ended."""

import json
from dataclasses import replace

import pytest

from cts.adapters.sessions import SESSION
from cts.build import session
from cts.errors import Refused, Unavailable
from cts.keys import session_name
from cts.run.model import RENEW_AFTER
from cts.run.state import TaskState
from cts.terraform.archive import unzipped, with_file, zipped
from cts.terraform.definition import Provider
from cts.workflow.shown_runs import run as shown
from cts.workflow.track import NEWS_AFTER
from tests.fakes import RUN, failing
from tests.unit.system import System, system

HOUR, MINUTE = 3600.0, 60.0
BUILD_STOPS = session.STOP.total_seconds()
"""Before its credentials expire."""


def credentials(world: System, folder: str) -> list[str]:
    """The keys in the renewed credentials of a build, oldest first."""
    stored = world.bucket.objects.get(f"builds/{folder}/session.json", [])
    return [json.loads(each)["AccessKeyId"] for each in stored]


def folders(world: System) -> set[str]:
    return {key.split("/")[1] for key in world.bucket.objects if key.startswith("builds/")}


def building() -> System:
    world = system()
    world.begins(world.started())
    return world


def test_a_build_starts_with_credentials_for_its_run_alone() -> None:
    world = building()
    run = world.running("web")
    [request] = world.sts.asked
    assert request["Tags"] == [{"Key": "task", "Value": "web"}, {"Key": "run", "Value": run.id}]
    [archive] = world.bucket.objects[f"builds/{run.folder}/archive.zip"]
    found = json.loads(unzipped(archive)["session.json"])
    assert (found["folder"], found["AccessKeyId"]) == (run.folder, "ASIA1")
    of_people = world.bucket.archive("web", run.id)
    assert of_people is not None
    assert "session.json" not in unzipped(of_people)


def test_a_build_may_read_the_secrets_that_its_task_refers_to_also_later() -> None:
    world = system()
    fw = Provider("fw", env={"PW": '{{ env "PW" }}', "USER": '{{ key "user" }}'})
    entry = world.tasks["web"]
    definition = replace(world.bucket.definition(entry.definition), providers=(fw,))
    world.bucket.put_definition(definition)
    world.tasks["web"] = replace(entry, definition=definition.digest)
    world.publish()
    world.begins(world.started())
    world.clock.now += RENEW_AFTER
    world.sweep()
    first, renewed = (request["Tags"] for request in world.sts.asked)
    assert first == renewed
    assert {each["Key"]: each["Value"] for each in first[2:]} == {
        "connection-secret": "yes",
        "task-secret": "yes",
    }


def test_a_running_build_always_has_credentials() -> None:
    world = building()
    run = world.running("web")
    given = world.clock.now
    for _ in range(8 * 60):
        world.clock.now += 60
        asked = len(world.sts.asked)
        world.sweep()
        given = world.clock.now if len(world.sts.asked) > asked else given
        assert world.clock.now - given < HOUR - BUILD_STOPS
    renewals = 8 * HOUR / RENEW_AFTER
    assert renewals - 1 <= len(credentials(world, run.folder)) <= renewals


def test_half_an_hour_without_a_tracker_does_no_harm() -> None:
    """From one renewal to the next, at the latest."""
    assert RENEW_AFTER + 30 * MINUTE <= HOUR - BUILD_STOPS


def test_what_a_build_looks_for_is_there_already() -> None:
    """Under the name that it knows, a sweep after the renewal was due."""
    assert HOUR - session.LOOK.total_seconds() >= RENEW_AFTER + 2 * MINUTE
    assert session.FILE == SESSION


@pytest.mark.parametrize("at", ["renew", "put_build_object", "record_build"])
def test_a_tracker_that_was_killed_renews_at_the_next_sweep(at: str) -> None:
    world = building()
    run = world.running("web")
    world.clock.now += RENEW_AFTER
    targets = {"renew": world.sessions, "put_build_object": world.bucket}
    with failing(targets.get(at, world.table), at, Unavailable("killed")):
        assert [str(each) for each in world.sweep().errors] == ["killed"]
    world.clock.now += 60
    assert world.sweep().errors == []
    stored = credentials(world, run.folder)
    assert stored[-1:] == [f"ASIA{len(world.sts.asked)}"]
    world.clock.now += 60
    world.sweep()
    assert credentials(world, run.folder) == stored, "once is enough"


def test_two_sweeps_at_once_renew_twice_and_both_are_right() -> None:
    world = building()
    run = world.running("web")
    world.clock.now += RENEW_AFTER
    state = world.table.stored_runs[run.id]
    world.sweep()
    world.table.stored_runs[run.id] = state  # the other one has read it before
    world.sweep()
    assert credentials(world, run.folder) == ["ASIA2", "ASIA3"]
    assert world.running("web").renewed_at == world.clock.now


def test_a_driver_that_is_down_and_a_role_that_is_refused_do_not_hinder_each_other() -> None:
    world = building()
    run = world.running("web")
    world.clock.now += RENEW_AFTER
    with failing(world.driver, "status", Unavailable("CodeBuild is down")):
        assert [str(each) for each in world.sweep().errors] == ["CodeBuild is down"]
    assert credentials(world, run.folder) == ["ASIA2"]
    world.clock.now += RENEW_AFTER
    world.sts.error = Refused("not allowed")
    world.result(run, "applied")
    world.driver.builds["cts:1"].status = "SUCCEEDED"
    report = world.sweep()
    assert [str(each) for each in report.errors] == ["not allowed"]
    assert [each.id for each in report.settled] == [run.id]


@pytest.mark.parametrize("age", [NEWS_AFTER, RENEW_AFTER - 1])
def test_young_credentials_are_not_renewed(age: float) -> None:
    world = building()
    world.clock.now += age
    world.sweep()
    assert len(world.sts.asked) == 1


def test_a_run_of_an_earlier_version_has_none_to_renew_or_delete() -> None:
    world = building()
    run = world.running("web")
    world.table.stored_runs[run.id] = replace(run, folder="")
    world.clock.now += RENEW_AFTER
    assert world.sweep().errors == []
    assert len(world.sts.asked) == 1
    world.result(run, "applied")
    world.ends(run)
    assert world.table.state("web").running is None


def test_a_start_that_an_earlier_version_left_is_undone_and_made_anew() -> None:
    """What it stored has no credentials, and it has perhaps not asked CodeBuild yet."""
    world = system()
    world.observe("web")
    with failing(world.driver, "start", Unavailable("killed")), pytest.raises(Unavailable):
        world.start("web")
    run = world.running("web")
    world.table.stored_runs[run.id] = replace(run, folder="")
    world.clock.now += NEWS_AFTER
    world.sweep()
    assert world.table.state("web").running is None
    assert world.started("web").folder


@pytest.mark.parametrize("ending", ["applied", "errored"])
def test_a_run_that_has_ended_leaves_no_credentials(ending: str) -> None:
    world = building()
    run = world.running("web")
    world.clock.now += RENEW_AFTER
    world.sweep()
    assert folders(world) == {run.folder}
    world.result(run, ending)
    world.ends(run)
    assert folders(world) == set()


def test_a_run_whose_build_is_refused_leaves_none() -> None:
    world = system()
    world.observe("web")
    world.driver.error = Refused("no such project")
    world.start("web")
    assert (world.table.state("web").running, folders(world)) == (None, set())


def test_a_run_that_is_undone_leaves_none() -> None:
    world = system()
    world.observe("web")
    with failing(world.table, "record_build", Unavailable("killed")), pytest.raises(Unavailable):
        world.start("web")
    world.driver.builds.clear()
    world.clock.now += 86_400
    world.sweep()
    assert (world.table.state("web").running, folders(world)) == (None, set())


def test_a_run_is_recorded_and_told_although_its_credentials_cannot_be_deleted() -> None:
    world = building()
    run = world.running("web")
    world.result(run, "applied")
    with (
        failing(world.bucket, "delete_build_objects", Unavailable("S3 is down")),
        pytest.raises(Unavailable),
    ):
        world.ends(run)
    state = world.table.state("web")
    assert (state.running, state.unannounced) == (None, ())


def test_a_role_that_may_not_be_assumed_fails_the_run_with_the_reason() -> None:
    world = system()
    world.observe("web")
    world.sts.error = Refused("assuming the role: AccessDenied")
    world.start("web")
    state = world.table.state("web")
    assert state.running is None
    assert "AccessDenied" in (state.recent[0].error or "")
    assert state.retry_at is not None


def test_nobody_is_shown_the_folder() -> None:
    assert RUN.folder not in json.dumps(shown(RUN))
    world = building()
    folder = world.running("web").folder
    assert folder not in str(world.bus.events)
    assert folder not in str(world.table.stored_states)


def test_what_is_added_to_an_archive_is_for_its_owner_only() -> None:
    made = with_file(zipped({"main.tf": "x"}), "session.json", b"{}")
    assert unzipped(made) == {"main.tf": b"x", "session.json": b"{}"}


def test_a_session_is_named_by_its_run_in_letters_that_sts_accepts() -> None:
    assert session_name("größe-a-20260101T000000-abc123") == "20260101T000000-abc123"


def test_states_do_not_know_of_credentials() -> None:
    assert "folder" not in TaskState.__dataclass_fields__
