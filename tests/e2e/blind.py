"""That a Consul which can't be read is told of, by the command and on the bus; its return too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.world import SELDOM

if TYPE_CHECKING:
    from tests.e2e.records import Mark
    from tests.e2e.world import World


def told_blind(world: World, since: Mark, *tasks: str) -> None:
    """Wait until every task says why it is stale, and the bus too."""

    def all_stale() -> dict[str, Any] | None:
        found = _status(world)
        stale = [name for name, each in found["tasks"].items() if each["state"] == "stale"]
        return found if sorted(stale) == sorted(tasks) else None

    found = world.until(all_stale, "every task to be stale", every=SELDOM)
    assert found["stale_views"]["count"] == found["stale_views"]["of"] > 0
    assert found["poller"]["alive"] is True
    for each in found["tasks"].values():
        assert each["stale"][0]["why"].startswith("asking Consul at http"), each
    assert world.cts("status").stdout.startswith("✗ Consul can't be read: ")

    def announced() -> set[str]:
        return {
            name for event in world.events("ViewStale", since) for name in event["detail"]["tasks"]
        }

    world.until(lambda: announced() == {*tasks}, "ViewStale for every task")


def told_seen(world: World, since: Mark) -> None:
    """Wait until nothing is stale any more, and the bus says so."""
    world.until(lambda: _status(world)["stale_views"]["count"] == 0, "no stale view", every=SELDOM)
    world.until(lambda: world.events("ViewFresh", since), "ViewFresh")
    assert "can't be read" not in world.cts("status").stdout


def _status(world: World) -> dict[str, Any]:
    answer = world.cts("status", "--json")
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found
