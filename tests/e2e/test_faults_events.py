"""Events that are lost or doubled, and functions that are killed around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.faults import (
    CALL,
    ROUNDS,
    TOLD,
    change,
    in_each_lane,
    in_one_lane,
    inject,
    lane_of,
    names,
    only_in,
    publish,
    struck,
    watch,
)

if TYPE_CHECKING:
    from tests.e2e.faults import Chance
    from tests.e2e.world import World

STARTED = {"build": 200, "warm": 202}
"""How AWS answers."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("chance", ROUNDS, indirect=True),
]


@pytest.fixture(scope="module", autouse=True)
def tasks(world: World, request: pytest.FixtureRequest) -> None:
    publish(world, {name: name for name in names(request)})


@only_in("warm", "lost")
def test_a_trigger_that_was_lost_is_sent_again(world: World, chance: Chance, name: str) -> None:
    """Whatever the lane, which is not chosen yet."""
    task = watch(world, name)
    times = chance.pick("events lost", 1, 2, 3)
    lost = inject(
        world, on="delivery", detail_type="TaskTriggered", target="Runner", do="drop", times=times
    )
    change(world, name)
    struck(world, lost, times)
    task.ends_well("applied")


@in_each_lane("repeated")
def test_events_that_come_three_times_start_one_run_and_end_it_once(
    world: World, chance: Chance, name: str
) -> None:
    lane = lane_of(name)
    task = watch(world, name)
    copies = chance.pick("copies", "triple", "double")
    late = chance.seconds("late by", 0.0, 0.0, 3.0)
    rules = [
        {"detail_type": "TaskTriggered", "target": "Runner"},
        {"detail_type": TOLD[lane], "target": "Tracker"},
    ]
    if lane == "warm":  # as Lambda may do, with the same ID
        rules.append({"detail_type": "Invocation", "target": "Executor"})
    faults = [inject(world, on="delivery", do=copies, seconds=late, **rule) for rule in rules]
    change(world, name)
    for fault in faults:
        struck(world, fault)
    task.ends_well("applied")


@in_one_lane("recorded")
def test_a_tracker_killed_after_its_transaction_leaves_the_announcement_to_the_sweep(
    world: World, chance: Chance, name: str
) -> None:
    """The run has ended by then, and the rest is the same in each lane."""
    task = watch(world, name)
    point = chance.pick(
        "killed at",
        {"action": "TransactWriteItems", "phase": "after"},
        {"action": "PutEvents", "phase": "before"},
        {"action": "PutEvents", "phase": "after"},
        {"action": "PutItem", "phase": "before"},
        {"action": "TransactWriteItems", "phase": "before"},
    )
    fault = inject(world, caller="Tracker", do="kill", **point)
    change(world, name)
    struck(world, fault)
    task.ends_well("applied")


@in_each_lane("started")
def test_a_runner_killed_after_starting_a_build_has_started_the_only_one(
    world: World, chance: Chance, name: str
) -> None:
    lane = lane_of(name)
    task = watch(world, name)
    point = chance.pick(
        "killed at",
        {"action": CALL[lane], "phase": "after"},
        {"action": "UpdateItem", "phase": "before"},
        {"action": "UpdateItem", "phase": "after"},
        {"action": "PutEvents", "phase": "before"},
        {"action": "PutEvents", "phase": "after"},
    )
    mark = world.mark()
    fault = inject(world, caller="Runner", do="kill", **point)
    change(world, name)
    struck(world, fault)
    task.ends_well("applied")
    assert len(world.calls(mark, action=CALL[lane], status=STARTED[lane])) == 1
