"""Two pollers at once: the one that was relieved can write no more, sees that, and leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cts.workflow.watcher import PollOutcome
from tests.e2e.faults import (
    ROUNDS,
    change,
    hold,
    inject,
    living_poller,
    publish,
    struck,
    the_held,
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
    publish(world, {"written": "written", "beating": "beating", "raced": "raced"})


def relieve(world: World) -> int:
    """Publish a new generation, and wait until a poller that has read it holds the lease; its
    epoch."""
    number = world.publish({}).number

    def relieved() -> int | None:
        lease = world.table.lease()
        return lease.epoch if lease and lease.generation == number else None

    return world.until(relieved, "the poller to be relieved")


def left(world: World) -> int:
    """How many pollers have left because another one took over."""
    return world.stack.function_log("Poller").count(PollOutcome.OVERTAKEN.value)


def test_a_relieved_poller_that_writes_a_change_late_is_refused(
    world: World, chance: Chance
) -> None:
    written, gone, former = watch(world, "written"), left(world), living_poller(world)
    first = hold(world, caller="Poller", action="TransactWriteItems")
    hold(world, caller="Poller", action="TransactWriteItems", nth=2, times=0)
    change(world, "written")
    struck(world, first)
    assert relieve(world) == former.epoch + 1
    world.stack.clear_faults()
    world.until(lambda: left(world) > gone, "the former poller to leave")
    assert the_held(world, first)["error"] == "TransactionCanceledException"
    written.ends_well("applied")


def test_a_relieved_poller_that_beats_late_is_refused(world: World, chance: Chance) -> None:
    beating, gone, former = watch(world, "beating"), left(world), living_poller(world)
    beat = hold(world, caller="Poller", action="PutItem", resource="WATCH/LEASE")
    struck(world, beat)
    change(world, "beating")
    assert relieve(world) == former.epoch + 1
    world.stack.clear_faults()
    world.until(lambda: left(world) > gone, "the former poller to leave")
    assert the_held(world, beat)["error"] == "ConditionalCheckFailedException"
    beating.ends_well("applied")


def test_of_pollers_that_race_for_the_lease_one_gets_it(world: World, chance: Chance) -> None:
    raced, former = watch(world, "raced"), living_poller(world)
    copies = chance.pick("at once", "triple", "double")
    inject(world, on="delivery", detail_type="ConfigPublished", target="Poller", do=copies)
    relieve(world)
    change(world, "raced")
    raced.ends_well("applied")
    assert living_poller(world).epoch > former.epoch
