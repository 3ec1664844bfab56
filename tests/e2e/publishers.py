"""What is live, and whether publishers are at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cts import keys
from cts.adapters.bucket import Bucket
from cts.generation import Generation

if TYPE_CHECKING:
    from cts.generation import Current
    from tests.e2e.world import World


def current(world: World) -> Current:
    found = world.table.current()
    assert found is not None
    return found


def ended(world: World) -> int:
    """How many invocations of the publisher came to their end."""
    return world.stack.function_log("Publisher").count("checked for a push")


def rest(world: World) -> None:
    """Wait until every publisher has ended. None may have failed."""

    def resting() -> bool:
        events = world.stack.events()
        begun = [e for e in events if e["kind"] == "delivered" and e["target"] == "Publisher"]
        return ended(world) == len(begun)

    world.until(resting, "all publishers to end")


def assert_whole(world: World, since: int = 1) -> None:
    """All that the live generation names is there, and all generations before it, back to the one
    with this number."""
    live, bucket = current(world), Bucket(world.client("s3"), world.work_bucket)
    for entry in bucket.generation(live).tasks.values():
        digest = bucket.definition(entry.definition).module.digest
        assert digest
        assert bucket.module(digest)
    number, digest = live.number, live.digest
    while digest and number >= since:
        body = world.object(keys.generation(number, digest))
        assert body is not None, f"generation {number} is gone"
        number, digest = number - 1, Generation.from_json(body).former
    assert number == since - 1
