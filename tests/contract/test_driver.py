"""Drivers whose runs are builds: the fake, and the adapters of CodeBuild and of the warm lane's
function on the emulator's bucket."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from cts.adapters.bucket import Bucket
from cts.adapters.codebuild import CodeBuild
from cts.adapters.executor import QUEUED_SECONDS, Executor, Failure
from cts.executor.execute import Asked
from cts.keys import ended, run_object, warm_build
from cts.run.model import End, Run, RunStatus
from cts.run.news import GivenUp, GoesOn, HasEnded, NeverBegan, News, NotStarted
from tests.fakes import (
    RUN,
    Clock,
    FakeBucket,
    FakeBuild,
    FakeDriver,
    build_event,
    failed_event,
    failing,
)

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_lambda import LambdaClient

EVENTS = Path(__file__).parents[2] / "events"
SECONDS = 900.0
"""The time limit of the executor."""
REFUSED = End(RunStatus.ERRORED, apply_began=False, error="no such project", retryable=False)


class Builds:
    """A client of CodeBuild, whose builds a test ends."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self._tokens: dict[str, str] = {}

    def start_build(self, *, idempotencyToken: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        build = self._tokens.setdefault(idempotencyToken, f"cts:{len(self._tokens) + 1}")
        self.statuses.setdefault(build, "IN_PROGRESS")
        return {"build": {"id": build}}

    def batch_get_builds(self, *, ids: list[str]) -> dict[str, Any]:
        known = [each for each in ids if each in self.statuses]
        return {"builds": [{"id": each, "buildStatus": self.statuses[each]} for each in known]}


class Invocations:
    """A client of Lambda, which answers with a new ID each time."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def invoke(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        return {"ResponseMetadata": {"RequestId": f"id-{len(self.asked)}"}}


@dataclass
class World:
    driver: FakeDriver | CodeBuild | Executor
    bucket: FakeBucket | Bucket
    clock: Clock
    tell: Callable[[str, str | None], None]
    """Build, and its status from now on; None: it is left out of answers."""
    event: Callable[[str, str], dict[str, Any]]
    """What EventBridge brings of a build with this status."""

    def started(self) -> Run:
        return replace(RUN, build=self.driver.start(RUN, b"archive"))

    def begins(self, build: str | None) -> None:
        self.write("started", f'{{"build": "{build}"}}')

    def write(self, name: str, text: str) -> None:
        assert self.bucket.put_if_absent(RUN.task, RUN.id, name, text.encode())


def of_codebuild(build: str, status: str) -> dict[str, Any]:
    return build_event(RUN.task, RUN.id, build, status)


def of_bucket(build: str, _status: str) -> dict[str, Any]:
    key = run_object(RUN.task, RUN.id, ended(build))
    return {"detail-type": "Object Created", "detail": {"object": {"key": key}}}


@pytest.fixture(params=["codebuild", "executor"])
def world(request: pytest.FixtureRequest, bucket: FakeBucket | Bucket) -> World:
    clock = Clock()
    if request.param == "executor":
        return with_executor(bucket, clock)
    if isinstance(bucket, FakeBucket):
        fake = FakeDriver(clock, bucket)
        return World(
            fake,
            bucket,
            clock,
            lambda build, status: tell_fake(fake, build, status),
            of_codebuild,
        )
    builds = Builds()

    def tell(build: str, status: str | None) -> None:
        builds.statuses.pop(build)
        if status:
            builds.statuses[build] = status

    return World(
        CodeBuild(cast("CodeBuildClient", builds), "cts", bucket, clock),
        bucket,
        clock,
        tell,
        of_codebuild,
    )


def with_executor(bucket: FakeBucket | Bucket, clock: Clock) -> World:
    def tell(build: str, status: str | None) -> None:
        if status:
            assert bucket.put_if_absent(RUN.task, RUN.id, ended(build), b"")

    client = cast("LambdaClient", Invocations())
    driver = Executor(client, "cts-executor", SECONDS, cast("Bucket", bucket), clock)
    return World(driver, bucket, clock, tell, of_bucket)


def tell_fake(driver: FakeDriver, build: str, status: str | None) -> None:
    known = driver.builds.pop(build)
    if status:
        driver.builds[build] = FakeBuild(
            build, known.run, known.archive, known.started_at, status=status
        )


def test_a_second_start_is_the_same_build(world: World) -> None:
    if isinstance(world.driver, Executor):
        pytest.skip("it is another invocation, of which one executes the run")
    assert world.started().build == world.started().build


def test_what_was_not_started_may_be_for_a_while_if_its_archive_is_there(world: World) -> None:
    assert world.driver.news(RUN) == NeverBegan()
    world.bucket.put_archive(RUN.task, RUN.id, b"archive")
    assert world.driver.news(RUN) == NotStarted(archive=b"archive")
    assert world.driver.news(replace(RUN, folder="")) == NeverBegan(), "of an earlier version"
    world.clock.now += world.driver.limits.restart
    assert world.driver.news(RUN) == NeverBegan()


@pytest.mark.parametrize("begins", [False, True])
def test_what_builds_goes_on_and_what_is_left_out_too(world: World, *, begins: bool) -> None:
    run = world.started()
    if begins:
        world.begins(run.build)
    assert world.driver.news(run) == GoesOn()
    world.tell(run.build or "", None)
    assert world.driver.news(run) == GoesOn()
    limits = world.driver.limits
    world.clock.now += limits.longest if begins else limits.begins
    news = world.driver.news(run)
    assert isinstance(news, HasEnded if begins else NeverBegan)
    assert news.end is not None
    why = "the build stopped responding" if begins else "was started, but never began"
    assert why in (news.end.error or "")
    assert news.end.known is not begins


@pytest.mark.parametrize("hears", [False, True])
def test_a_build_ends_as_it_recorded(world: World, *, hears: bool) -> None:
    run = world.started()
    world.begins(run.build)
    world.write("applying", "")
    world.write("result.json", '{"status": "applied"}')
    world.tell(run.build or "", "SUCCEEDED")
    heard = world.driver.heard(world.event(run.build or "", "SUCCEEDED"))
    assert heard is not None
    assert (heard.task, heard.run) == (run.task, run.id)
    end = End(RunStatus.APPLIED, apply_began=True)
    news = world.driver.news(run, heard if hears else None)
    assert news == HasEnded(end=end, build=run.build)


def test_what_is_heard_of_another_build_is_no_news(world: World) -> None:
    run = world.started()
    world.begins("cts:9")
    heard = world.driver.heard(world.event(run.build or "", "FAILED"))
    assert world.driver.news(run, heard) == GoesOn()


@pytest.mark.parametrize("event", [{}, {"detail-type": "TaskTriggered", "detail": {"task": "web"}}])
def test_an_event_of_others_is_not_heard(world: World, event: dict[str, Any]) -> None:
    assert world.driver.heard(event) is None


@pytest.mark.parametrize("end", [None, REFUSED])
def test_one_put_decides_whether_a_run_begins(world: World, end: End | None) -> None:
    run = world.started()
    assert world.driver.stop(run, end)
    assert not world.driver.stop(run, None)
    assert not world.bucket.put_if_absent(run.task, run.id, "started", b"{}"), "it can't begin"
    assert world.driver.news(run) == GivenUp(end=end)


def test_what_began_is_not_stopped(world: World) -> None:
    run = world.started()
    world.begins(run.build)
    assert not world.driver.stop(run, REFUSED)
    assert world.driver.news(run) == GoesOn()


def test_a_build_that_ended_before_its_first_command_never_began(world: World) -> None:
    run = world.started()
    world.tell(run.build or "", "FAULT")
    news = world.driver.news(run)
    assert isinstance(news, NeverBegan)
    assert news.end is not None
    assert "before its first command" in (news.end.error or "")


def test_a_function_is_told_which_run_and_where_its_archive_is() -> None:
    clock, bucket, client = Clock(), FakeBucket(), Invocations()
    lambda_client = cast("LambdaClient", client)
    driver = Executor(lambda_client, "cts-executor", 900.0, cast("Bucket", bucket), clock)
    assert driver.start(RUN, b"archive") == warm_build("id-1")
    [asked] = client.asked
    assert (asked["FunctionName"], asked["InvocationType"]) == ("cts-executor", "Event")
    told = Asked(**json.loads(asked["Payload"]))
    assert told == Asked(RUN.task, RUN.id, RUN.folder, RUN.correlation)


def test_an_apply_that_began_while_records_were_read_has_begun() -> None:
    """What is newer is read first: there is no result of an apply without the record of it."""
    world = with_executor(bucket := FakeBucket(), Clock())
    run = world.started()
    world.begins(run.build)
    read, seen = bucket.run_object, list[str]()

    def applies(task: str, run_id: str, name: str) -> bytes | None:
        found = read(task, run_id, name)
        if name in ("applying", "result.json") and not seen:
            seen.append(name)
            world.write("applying", "")
            world.write("result.json", '{"status": "errored", "error": "quota"}')
        return found

    setattr(bucket, "run_object", applies)  # noqa: B010
    assert world.driver.news(run) == GoesOn()
    news = world.driver.news(run)
    assert isinstance(news, HasEnded)
    assert news.end.apply_began


def test_a_result_that_names_its_build_is_all_that_is_read_of_an_end() -> None:
    world = with_executor(bucket := FakeBucket(), Clock())
    run = world.started()
    world.write("result.json", json.dumps({"status": "applied", "build": run.build}))
    with failing(bucket, "archive", AssertionError("it is large")):
        heard = world.driver.heard(world.event(run.build or "", ""))
        news = world.driver.news(run, heard)
    end = End(RunStatus.APPLIED, apply_began=True)
    assert news == HasEnded(end=end, build=run.build)


def test_a_result_of_another_build_does_not_end_a_run() -> None:
    world = with_executor(FakeBucket(), Clock())
    run = world.started()
    world.begins("warm-other")
    world.write("result.json", '{"status": "applied", "build": "warm-other"}')
    heard = world.driver.heard(world.event(run.build or "", ""))
    assert world.driver.news(run, heard) == GoesOn()


def test_a_run_that_was_killed_has_ended_without_a_result(bucket: FakeBucket | Bucket) -> None:
    world = with_executor(bucket, Clock())
    run = world.started()
    world.begins(run.build)
    world.write("applying", "")
    world.tell(run.build or "", "KILLED")
    news = world.driver.news(run)
    assert isinstance(news, HasEnded)
    assert (news.end.apply_began, news.end.retryable) == (True, True)
    assert news.end.error == (
        "the build ended with status KILLED during its apply, without a result"
    )
    of_another = world.driver.heard(world.event("warm-other", ""))
    assert world.driver.news(run, of_another) == GoesOn()


# ---- what Lambda tells of an invocation that failed -----------------------------------------

ASKED = {"task": RUN.task, "run": RUN.id, "folder": RUN.folder, "correlation_id": "c"}
OF_INVOCATION = warm_build("id-1")
"""The first one of `Invocations`."""


def news_of_failure(world: World, run: Run, request: str = "id-1", **how: Any) -> News:
    heard = world.driver.heard(failed_event({**ASKED, **how.pop("asked", {})}, request, **how))
    assert heard is not None
    return world.driver.news(run, heard)


@pytest.mark.parametrize("recorded", [False, True], ids=["the runner died", "recorded"])
def test_a_run_whose_sandbox_was_lost_has_ended(
    bucket: FakeBucket | Bucket, *, recorded: bool
) -> None:
    world = with_executor(bucket, Clock())
    run = world.started()
    world.begins(f"{OF_INVOCATION}-1a2b")
    world.write("applying", "")
    news = news_of_failure(world, run if recorded else replace(run, build=None))
    assert isinstance(news, HasEnded)
    assert (news.end.apply_began, news.end.retryable, news.end.known) == (True, True, True)
    assert "status KILLED during its apply" in (news.end.error or "")


@pytest.mark.parametrize(
    "how",
    [
        {"request": "id-2"},
        {"asked": {"folder": "f01de4-of-another"}},
        {"raised": True},
        {"condition": "EventAgeExceeded"},
    ],
    ids=["another invocation", "who does not know its folder", "raised", "not delivered again"],
)
def test_a_run_that_began_goes_on_whatever_is_told_of_others(
    bucket: FakeBucket | Bucket, how: dict[str, Any]
) -> None:
    world = with_executor(bucket, Clock())
    run = world.started()
    world.begins(f"{OF_INVOCATION}-1a2b")
    assert news_of_failure(world, run, **how) == GoesOn()


def test_a_function_that_raised_an_error_has_recorded_what_has_ended(
    bucket: FakeBucket | Bucket,
) -> None:
    """It may be another delivery of the invocation than the one that executes the run."""
    world = with_executor(bucket, Clock())
    run = world.started()
    world.begins(f"{OF_INVOCATION}-1a2b")
    world.tell(f"{OF_INVOCATION}-3c4d", "KILLED")
    assert news_of_failure(world, run, raised=True) == GoesOn()
    world.tell(f"{OF_INVOCATION}-1a2b", "KILLED")
    assert isinstance(news_of_failure(world, run, raised=True), HasEnded)


@pytest.mark.parametrize("how", [{}, {"raised": True}, {"condition": "EventAgeExceeded"}])
def test_a_run_whose_invocation_failed_before_it_began_never_began(
    bucket: FakeBucket | Bucket, how: dict[str, Any]
) -> None:
    world = with_executor(bucket, Clock())
    run = world.started()
    for each in (run, replace(run, build=None)):
        news = news_of_failure(world, each, **how)
        assert isinstance(news, NeverBegan)
        assert news.build == OF_INVOCATION
        assert news.end is not None
        assert news.end.retryable
    assert news_of_failure(world, run, "id-2", **how) == GoesOn(), "the other one may begin"
    assert world.driver.stop(run, REFUSED)
    assert news_of_failure(world, run, **how) == GivenUp(end=REFUSED)


def test_a_run_in_the_warm_lane_can_not_outlast_what_it_is_waited_for(
    bucket: FakeBucket | Bucket,
) -> None:
    """It may be started again, then wait in the queue, and then take the function's whole time."""
    limits = with_executor(bucket, Clock()).driver.limits
    assert limits.longest > limits.restart + QUEUED_SECONDS + SECONDS


def test_lambdas_record_is_read_as_it_is_sent() -> None:
    event = json.loads((EVENTS / "tracker-invocation-failed.json").read_text())
    heard = Executor.heard(event)
    assert heard is not None
    assert (heard.task, heard.run) == ("firewall", "firewall-20261129T200400-4f1a2b")
    assert heard.told == Failure(
        folder="b7f1c2d3e4f5061728394a5b6c7d8e9f",
        build=warm_build("e4b46cbf-b738-500f-bb5a-4b1d7e8a3c01"),
        is_crash=True,
    )
