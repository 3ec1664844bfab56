"""The warm lane: runs that the function `Executor` executes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.world import task

if TYPE_CHECKING:
    from tests.e2e.world import World


def test_a_change_is_applied_in_the_warm_lane(world: World) -> None:
    world.publish({"warm.hcl": task("warm-one", "warm-one", lane="warm")})
    world.applied_right("warm-one")
    world.catalog.register("warm-one-1", "warm-one", "10.1.0.1", 80)
    runs = world.applied_right("warm-one", "warm-one")
    assert [run.driver for run in runs] == ["executor", "executor"]
