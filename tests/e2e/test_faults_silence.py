"""Runs that no news comes from: the sweep asks for them 50 seconds after their claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.faults import ROUNDS, change, inject, publish, struck, watch

if TYPE_CHECKING:
    from tests.e2e.faults import Chance, Watched
    from tests.e2e.world import World

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("chance", ROUNDS, indirect=True),
]


@pytest.fixture(scope="module", autouse=True)
def tasks(world: World) -> None:
    publish(world, {name: name for name in ("unstarted", "refused", "untold")})


def test_runs_without_news_are_asked_for_and_end_well(world: World, chance: Chance) -> None:
    """Three at once, for most of it is waiting."""
    builds = len(world.stack.builds())
    unstarted = kill_a_runner_before_its_build(world, chance)
    refused, untold = fill_the_queue(world, chance), lose_the_end_of_a_build(world)
    unstarted.ends_well("applied")
    refused.ends_well("applied")
    untold.ends_well("applied")
    assert len(world.stack.builds()) == builds + 3


def kill_a_runner_before_its_build(world: World, chance: Chance) -> Watched:
    """Between its claim and StartBuild; in some rounds before the claim."""
    task = watch(world, "unstarted")
    point = chance.pick(
        "runner killed at",
        {"action": "StartBuild", "phase": "before"},
        {"action": "TransactWriteItems", "phase": "after"},
        {"action": "TransactWriteItems", "phase": "before"},
        {"action": "PutObject", "phase": "after"},
    )
    kill = inject(world, caller="Runner", do="kill", **point)
    change(world, "unstarted")
    struck(world, kill)
    return task


def fill_the_queue(world: World, chance: Chance) -> Watched:
    """StartBuild is refused because the account has as many builds in its queue as it may."""
    task = watch(world, "refused")
    full = inject(
        world,
        action="StartBuild",
        do="refuse",
        code="AccountLimitExceededException",
        message="Cannot have more than 1 builds in queue for the account",
        times=chance.pick("times refused", 1, 2, 3),
    )
    change(world, "refused")
    struck(world, full)
    return task


def lose_the_end_of_a_build(world: World) -> Watched:
    """The event of its end never reaches the tracker."""
    task = watch(world, "untold")
    loss = inject(
        world,
        on="delivery",
        detail_type="CodeBuild Build State Change",
        target="Tracker",
        do="drop",
    )
    change(world, "untold")
    struck(world, loss)
    return task
