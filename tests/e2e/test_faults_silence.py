"""Runs that no news comes from: the sweep asks for them 50 seconds after their claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.faults import CALL, LANES, ROUNDS, TOLD, change, inject, of, publish, struck, watch

if TYPE_CHECKING:
    from tests.e2e.faults import Chance, Watched
    from tests.e2e.world import World

FULL = {
    "build": {
        "code": "AccountLimitExceededException",
        "message": "Cannot have more than 1 builds in queue for the account",
    },
    "warm": {"code": "TooManyRequestsException"},
}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("chance", ROUNDS, indirect=True),
]


@pytest.fixture(scope="module", autouse=True)
def tasks(world: World) -> None:
    names = [of(name, lane) for name in ("unstarted", "refused", "untold") for lane in LANES]
    publish(world, {name: name for name in names})


def test_runs_without_news_are_asked_for_and_end_well(world: World, chance: Chance) -> None:
    """Six at once, for most of it is waiting."""
    builds = len(world.stack.builds())
    silent = [
        strike(world, chance, lane)
        for lane in LANES
        for strike in (kill_a_runner_before_its_build, fill_the_queue, lose_the_end_of_a_build)
    ]
    for task in silent:
        task.ends_well("applied")
    assert len(world.stack.builds()) == builds + 3


def kill_a_runner_before_its_build(world: World, chance: Chance, lane: str) -> Watched:
    """Between its claim and the call that starts the run; in some rounds before the claim."""
    task = watch(world, of("unstarted", lane))
    point = chance.pick(
        "runner killed at",
        {"action": CALL[lane], "phase": "before"},
        {"action": "TransactWriteItems", "phase": "after"},
        {"action": "TransactWriteItems", "phase": "before"},
        {"action": "PutObject", "phase": "after"},
    )
    kill = inject(world, caller="Runner", do="kill", **point)
    change(world, task.service)
    struck(world, kill)
    return task


def fill_the_queue(world: World, chance: Chance, lane: str) -> Watched:
    """The start is refused because the account has as many builds in its queue as it may, or sends
    as many requests."""
    task = watch(world, of("refused", lane))
    times = chance.pick("times refused", 1, 2, 3)
    full = inject(world, action=CALL[lane], do="refuse", times=times, **FULL[lane])
    change(world, task.service)
    struck(world, full)
    return task


def lose_the_end_of_a_build(world: World, chance: Chance, lane: str) -> Watched:
    """The event of its end never reaches the tracker."""
    task = watch(world, of("untold", lane))
    loss = inject(world, on="delivery", detail_type=TOLD[lane], target="Tracker", do="drop")
    change(world, task.service)
    struck(world, loss)
    return task
