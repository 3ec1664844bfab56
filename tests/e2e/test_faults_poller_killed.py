"""A poller that is killed around its transaction. The next tick replaces it 60 seconds after its
last heartbeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.faults import (
    REPLACED,
    ROUNDS,
    change,
    inject,
    living_poller,
    publish,
    replaced,
    struck,
    watch,
)

if TYPE_CHECKING:
    from tests.e2e.faults import Chance
    from tests.e2e.world import World

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("chance", ROUNDS, indirect=True),
]


@pytest.fixture(scope="module", autouse=True)
def tasks(world: World) -> None:
    publish(world, {"before": "before", "after": "after"})


def test_a_change_whose_poller_was_killed_before_its_transaction_is_seen_by_the_next_one(
    world: World, chance: Chance
) -> None:
    task, former = watch(world, "before"), living_poller(world)
    point = chance.pick(
        "killed at",
        {"action": "TransactWriteItems", "phase": "before"},
        {"action": "PutObject", "phase": "before"},
        {"action": "PutObject", "phase": "after"},
        {"action": "BatchGetItem", "phase": "after"},
    )
    kill = inject(world, caller="Poller", do="kill", **point)
    change(world, "before")
    struck(world, kill)
    task.ends_well("applied", seconds=REPLACED)
    assert replaced(world, former).epoch == former.epoch + 1


def test_a_change_whose_poller_was_killed_after_its_transaction_is_one_run(
    world: World, chance: Chance
) -> None:
    """The sweep announces it; the next poller finds it done."""
    task, former = watch(world, "after"), living_poller(world)
    point = chance.pick(
        "killed at",
        {"action": "TransactWriteItems", "phase": "after"},
        {"action": "PutEvents", "phase": "before"},
        {"action": "PutEvents", "phase": "after"},
        {"action": "PutObjectTagging", "phase": "before"},
    )
    kill = inject(world, caller="Poller", do="kill", **point)
    change(world, "after")
    struck(world, kill)
    task.ends_well("applied")
    replaced(world, former)
    task.ends_well("applied")
    change(world, "after")
    task.ends_well("applied", "applied")
