"""A push whose check kills publishers is rejected in the end, and no other push is."""

from collections.abc import Mapping

import pytest

from cts import keys
from cts.config.compile import Result, compile_bundle
from cts.errors import Unavailable
from cts.events import ConfigRejected
from cts.workflow import to_publish as workflow
from cts.workflow.publish import MOST_ATTEMPTS, PublishOutcome
from tests.fakes import failing
from tests.unit.publisher import SECONDS, World, task, world


class Killed(BaseException):
    """What a publisher does not survive."""


DEADLY = b"deadly"


@pytest.fixture(params=[Killed, MemoryError])
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    def compiled(
        files: Mapping[str, bytes], environment: Mapping[str, str], *_rest: object
    ) -> Result:
        if DEADLY in files["config.hcl"]:
            raise request.param
        return compile_bundle(files, environment)

    made = world(task("web"))
    monkeypatch.setattr(workflow, "compile_bundle", compiled)
    return made


def dies(made: World) -> None:
    with pytest.raises((Killed, MemoryError)):
        made.publish()


def test_a_push_that_kills_publishers_is_rejected_in_the_end(made: World) -> None:
    made.push(task("deadly"))
    for _ in range(MOST_ATTEMPTS):
        dies(made)
        made.clock.now += SECONDS
    assert made.publish() is PublishOutcome.REJECTED
    assert made.table.refused is not None
    [problem] = made.table.refused.problems
    assert (problem["file"], problem["code"]) == ("bundle", "over-limit")
    assert f"ended the publisher {MOST_ATTEMPTS} times" in problem["what"]
    assert len(made.bus.of(ConfigRejected)) == 1
    assert made.publish() is PublishOutcome.KNOWN
    assert made.live == ["web"]


def test_while_the_last_publisher_may_live_nobody_decides(made: World) -> None:
    made.push(task("deadly"))
    for _ in range(MOST_ATTEMPTS):
        dies(made)
    assert made.publish() is PublishOutcome.BEING_CHECKED
    assert made.table.refused is None


def test_another_push_begins_anew(made: World) -> None:
    for _ in range(MOST_ATTEMPTS + 1):
        made.push(task("deadly"))
        dies(made)
        made.clock.now += SECONDS
    made.push(task("api"))
    assert made.publish() is PublishOutcome.PUBLISHED
    assert made.live == ["api"]


def test_a_push_that_was_checked_is_tried_until_the_buckets_are_back(made: World) -> None:
    made.push(task("api"))
    down = Unavailable("the bucket is down")
    for _ in range(3 * MOST_ATTEMPTS):
        with failing(made.bucket, "put_generation", down), pytest.raises(Unavailable):
            made.publish()
        made.clock.now += SECONDS
    assert made.publish() is PublishOutcome.PUBLISHED


def test_the_attempt_is_recorded_before_the_check(made: World) -> None:
    made.push(task("deadly"))
    dies(made)
    assert made.table.tried is not None
    tried = made.table.tried
    assert (tried.sources, tried.count) == ({keys.BUNDLE: "2"}, 1)
    assert tried.until == tried.began_at + SECONDS


def test_one_who_comes_through_clears_what_others_counted(made: World) -> None:
    made.push(task("api"))
    made.publish()
    assert made.table.tried is not None
    assert made.table.tried.count == 0
