"""Pushes that meet: each other, a lost event, or runs that are under way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cts import keys
from tests.e2e.faults import STEPS, STEPS_FILES, change, gate, hold, inject, struck, the_held, watch
from tests.e2e.publishers import assert_whole, current, rest
from tests.e2e.world import task

if TYPE_CHECKING:
    from tests.e2e.records import Mark
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e


def block(name: str, *services: str) -> str:
    """A task that never runs."""
    return task(name, *services, enabled=False)


def test_of_two_pushes_at_once_the_newest_is_live_in_the_end(world: World) -> None:
    world.publish({"first.hcl": block("both", "both")})
    for turn in range(5):
        before, number = world.mark(), current(world).number
        pushes = [
            {**world.files, "first.hcl": block("both", f"{each}-{turn}")} for each in ("a", "b")
        ]
        with ThreadPoolExecutor() as pool:
            list(pool.map(world.upload, pushes))
        assert_newest_is_live(world)
        assert_announced(world, before, number)


def test_a_publisher_that_is_overtaken_looks_again(world: World) -> None:
    world.publish({"slow.hcl": block("slow", "slow")})
    rest(world)
    before, number = world.mark(), current(world).number
    late = hold(world, caller="Publisher", action="PutItem", resource="CONFIG/CURRENT")
    world.upload({**world.files, "slow.hcl": block("slow", "older")})
    struck(world, late)
    newer = world.upload({**world.files, "slow.hcl": block("slow", "newer")})
    world.answer(newer)
    world.stack.clear_faults()
    assert the_held(world, late)["error"] == "ConditionalCheckFailedException"
    assert_newest_is_live(world)
    assert_announced(world, before, number)


def test_a_push_whose_event_was_lost_is_published_by_the_schedule(world: World) -> None:
    world.publish({"unheard.hcl": block("unheard", "unheard")})
    lost = inject(world, on="delivery", detail_type="Object Created", target="Publisher", do="drop")
    version = world.upload({**world.files, "unheard.hcl": block("unheard", "found")})
    struck(world, lost)
    assert version not in current(world).sources.values()
    world.stack.fire("Publisher")
    assert world.answer(version).published


def test_runs_under_way_end_and_are_recorded_and_only_what_changed_runs_again(
    world: World,
) -> None:
    names = ("busy", "leaving", "calm")
    for name in names:
        change(world, name)
    blocks = {name: task(name, name, module=STEPS) for name in names}
    world.publish({**STEPS_FILES, "runs.hcl": "".join(blocks.values())})
    for name in names:
        world.applied_right(name, name)

    busy, leaving, calm = (watch(world, name) for name in names)
    gates = [gate(world, name) for name in ("busy", "leaving")]
    for name, waiting in zip(names, gates, strict=False):
        change(world, name, waiting.step)
    for waiting in gates:
        world.until(waiting.reached, "an apply to be under way")
    two = {name.replace("steps", "other"): text for name, text in STEPS_FILES.items()}
    changed = task("busy", "busy", module="./modules/other")
    world.publish({**two, "runs.hcl": f"# the same as before\n{blocks['calm']}{changed}"})
    world.until(lambda: world.state("busy").wanted, "the new definition to be wanted")
    for waiting in gates:
        waiting.open()

    runs = busy.ends_well("applied", "planned_and_finished")
    assert runs[0].definition != runs[1].definition
    assert (runs[0].generation, runs[1].generation) == (
        current(world).number - 1,
        current(world).number,
    )
    [left] = leaving.ended(1)
    assert left.status == "applied"
    change(world, "leaving")
    change(world, "calm")
    calm.ends_well("applied")
    assert leaving.runs() == [left]


# ---- what must hold -----------------------------------------------------------------------


def assert_newest_is_live(world: World) -> None:
    rest(world)
    head = world.client("s3").head_object(Bucket=world.work_bucket, Key=keys.BUNDLE)
    assert current(world).sources[keys.BUNDLE] == head["VersionId"]
    assert_whole(world)


def assert_announced(world: World, since: Mark, former: int) -> None:
    """Each generation after the former one, whoever told of it."""
    assert not current(world).unannounced
    told = {event["detail"]["number"] for event in world.events("ConfigPublished", since)}
    assert told >= {*range(former + 1, current(world).number + 1)}
