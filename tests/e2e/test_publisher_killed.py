"""A publisher that dies at any of its calls leaves the old generation or the new one, whole."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING

import pytest

from cts.keys import BUNDLE
from tests.e2e.conftest import running
from tests.e2e.publishers import assert_whole, current, ended
from tests.e2e.world import RECORD_FILES, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.records import Mark
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

CALLS = {"GetItem", "GetObject", "PutObject", "PutItem", "PutEvents", "ListBucket"}
"""What a publisher calls."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack")) as world:
        yield world


@pytest.mark.parametrize(
    ("phase", "retries", "step"),
    [
        ("before", 1, 4),
        pytest.param("before", 1, 1, marks=pytest.mark.soak),
        pytest.param("after", 0, 1, marks=pytest.mark.soak),
    ],
)
def test_a_publisher_killed_at_any_call_leaves_the_old_or_the_new_generation(
    world: World, phase: str, retries: int, step: int
) -> None:
    """Killed at its first call, at its second, and so on, until a push lives through all; or, with
    a step, at some of its calls, others for each seed.

    `retries`: of Lambda. A retry dies at its first call. Killed after its calls, a publisher leaves
    what one leaves that is killed before the next call; so one of the two is for `make soak` alone,
    and has no retry.
    """
    first = random.randint(1, step)
    _retry(world, retries)
    former = ended(world)
    world.publish(_files(f"first {phase}"))
    world.until(lambda: ended(world) > former, "the publisher to end")
    killed_at: list[str] = []
    for nth in count(first, step):
        before = world.mark()
        if _survives(world, phase, nth):
            break
        killed_at.append(world.calls(before, caller="Publisher")[nth - 1]["action"])
    assert_whole(world)
    calls = [call["action"] for call in world.calls(before, caller="Publisher")]
    assert set(calls) == CALLS
    assert nth > len(calls)
    assert step > 1 or set(killed_at) == CALLS


def _retry(world: World, times: int) -> None:
    resource = world.client("cloudformation").describe_stack_resource(
        StackName=world.stack.name, LogicalResourceId="Publisher"
    )["StackResourceDetail"]
    client, name = world.client("lambda"), resource["PhysicalResourceId"]
    former = client.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
    client.put_function_event_invoke_config(
        FunctionName=name,
        Qualifier="$LATEST",
        MaximumRetryAttempts=times,
        DestinationConfig=former["DestinationConfig"],
    )


def _survives(world: World, phase: str, nth: int) -> bool:
    """Push, kill every attempt from its nth call on, look, then let the schedule fire."""
    old, before = current(world), world.mark()
    former, lost = ended(world), _dead_letters(world)
    world.stack.fault(caller="Publisher", nth=nth, times=0, phase=phase, do="kill")
    version = world.upload(_files(f"{phase} {nth}"))
    world.until(
        lambda: _dead_letters(world) > lost or ended(world) > former,
        "the publisher to be killed or to end",
    )
    survives = ended(world) > former
    assert current(world).sources in (old.sources, {**old.sources, BUNDLE: version})
    assert_whole(world, since=old.number)

    world.stack.clear_faults()
    if not survives:
        world.stack.fire("Publisher")
        world.until(lambda: ended(world) > former, "the publisher to end")
    assert world.answer(version).number == old.number + 1
    assert_whole(world, since=old.number)
    _assert_announced_once(world, version, before)
    return survives


def _files(text: str) -> dict[str, str]:
    block = task("killed", "killed", enabled=False, module="./modules/k")
    return {
        "killed.hcl": block,
        "modules/k/main.tf": f"# {text}\n{RECORD_FILES['modules/record/main.tf']}",
    }


def _dead_letters(world: World) -> int:
    """How many events the publisher was given in vain."""
    sqs = world.client("sqs")
    [queue] = sqs.list_queues()["QueueUrls"]
    named = "ApproximateNumberOfMessages"
    return int(
        sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[named])["Attributes"][named]
    )


def _assert_announced_once(world: World, version: str, since: Mark) -> None:
    world.until(lambda: not current(world).unannounced, "the push to be announced")
    sent = {event["detail"]["id"] for event in world.events("ConfigPublished", since)}
    assert sent == {f"{version}/{current(world).number}/ConfigPublished"}
