"""Consul loses all it knew, indices included, and is filled again. Over HTTPS, with ACLs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.blind import told_blind, told_seen
from tests.e2e.conftest import running
from tests.e2e.world import task

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

AWAY = 90.0
"""Seconds for which Consul is stopped."""
NOISE = 60
"""Writes that raise Consul's index before it is stopped."""


def test_a_consul_that_lost_its_data_is_followed_again(tmp_path: Path) -> None:
    with running(tmp_path, ticking=False, secure=True) as world:
        for number in range(NOISE):
            world.catalog.register("noise-1", "noise", "10.0.0.9", 1000 + number)
        world.catalog.register("web-1", "web", "10.0.0.1", 80)
        world.publish({"t.hcl": task("web", "web") + task("all", regexp="^(web|noise)$")})
        world.applied_right("web", "web")
        world.applied_right("all", "web", "noise")
        index = _index(world)
        runs = [world.runs(name) for name in ("web", "all")]

        since = world.mark()
        world.stack.stop_consul()
        end = time.monotonic() + AWAY
        told_blind(world, since, "web", "all")
        world.until(lambda: time.monotonic() > end, "Consul's absence to pass", AWAY + 10)
        assert [world.runs(name) for name in ("web", "all")] == runs

        world.stack.start_consul(empty=True)
        world.catalog.register("web-1", "web", "10.0.0.1", 81)
        assert _index(world) < index
        world.applied_right("web", "web")
        world.applied_right("all", "web")
        told_seen(world, since)


def _index(world: World) -> int:
    with world.stack.consul_client() as consul:
        answer = consul.get("/v1/health/service/web", params={"passing": "1"})
    return int(answer.headers["X-Consul-Index"])
