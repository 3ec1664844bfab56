"""A poller that dies with the lease in its hand, or with a change half written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cts import keys
from cts.adapters.bucket import Bucket
from cts.conditions import services
from cts.run.state import Reason
from cts.watch.fingerprint import fingerprint_of
from cts.watch.needs import digests
from cts.watch.query import View
from tests.e2e.conftest import running
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
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cts.generation import TaskEntry
    from tests.e2e.faults import Chance
    from tests.e2e.world import World

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("chance", ROUNDS, indirect=True),
]

MANY = [f"many-{number:03}" for number in range(120)]
"""More states than one transaction may write."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack")) as world:
        yield world


@pytest.fixture(scope="module", autouse=True)
def tasks(world: World) -> None:
    disabled = "".join(task(name, "many", enabled=False) for name in MANY)
    publish(world, {"held": "held"}, disabled)
    world.until(lambda: all_want_what_is_there(world), "all states to be written", REPLACED)


def all_want_what_is_there(world: World) -> bool:
    """Whether every one of the tasks wants the change to what Consul says now."""
    view = View(services.SERVICE, "many")
    rows = {
        each: row for chunk in world.table.chunks().values() for each, row in chunk.rows.items()
    }
    if view.id not in rows or not _is_in_consul(world, rows[view.id].digest):
        return False
    tasks = _live_tasks(world)
    for name, state in world.table.states(MANY).items():
        entry = tasks[name]
        seen = digests(entry.conditions, rows, {})
        assert seen is not None
        wish = state.wanted.get(Reason.CHANGE)
        if wish is None or wish.fingerprint != fingerprint_of(entry.definition, seen):
            return False
    return True


def _live_tasks(world: World) -> Mapping[str, TaskEntry]:
    current = world.table.current()
    assert current is not None
    return Bucket(world.client("s3"), world.work_bucket).generation(current).tasks


def _is_in_consul(world: World, digest: str) -> bool:
    body = world.object(keys.snapshot(View(services.SERVICE, "many").id, digest))
    assert body is not None
    return [row["port"] for row in json.loads(body)] == [
        row["port"] for row in world.expected("many").values()
    ]


def fingerprints(world: World) -> dict[str, list[str | None]]:
    """What each of the tasks wants."""
    states = world.table.states(MANY)
    return {name: [w.fingerprint for w in state.wanted.values()] for name, state in states.items()}


def test_a_change_half_written_when_its_poller_was_killed_is_whole_after_the_take_over(
    world: World, chance: Chance
) -> None:
    former, before = living_poller(world), fingerprints(world)
    point = chance.pick(
        "killed at transaction",
        {"nth": 2, "phase": "before"},
        {"nth": 1, "phase": "after"},
        {"nth": 2, "phase": "after"},
        {"nth": 3, "phase": "before"},
    )
    kill = inject(world, caller="Poller", action="TransactWriteItems", do="kill", **point)
    change(world, "many")
    struck(world, kill)
    assert not all_want_what_is_there(world)
    after = fingerprints(world)
    written = [name for name in MANY if after[name] != before[name]]
    only_states = {"nth": 2, "phase": "after"}, {"nth": 3, "phase": "before"}
    assert len(written) == len(MANY) if point in only_states else 0 < len(written) < len(MANY)
    replaced(world, former)
    world.until(lambda: all_want_what_is_there(world), "all states to be right")
    assert not any(world.runs(name) for name in MANY[::40])


def test_a_change_after_the_lease_holder_died_is_applied_by_the_next_poller(
    world: World, chance: Chance
) -> None:
    held, former = watch(world, "held"), living_poller(world)
    phase = chance.pick("killed at its heartbeat", "after", "before")
    kill = inject(
        world, caller="Poller", action="PutItem", resource="WATCH/LEASE", phase=phase, do="kill"
    )
    struck(world, kill)
    change(world, "held")
    held.ends_well("applied", seconds=REPLACED)
    assert replaced(world, former).epoch == former.epoch + 1
