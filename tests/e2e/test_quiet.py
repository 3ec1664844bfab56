"""While nothing changes, nothing is done. Over HTTPS, with ACLs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import running
from tests.e2e.world import task

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

QUIET = 180.0
"""Seconds without a change. The schedules fire meanwhile, in real time."""
HEARTBEATS = 8
HEARTBEAT = ["WATCH/LEASE"]


def test_three_quiet_minutes_write_a_heartbeat_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path, ticking=False, secure=True) as world:
        world.catalog.register("web-1", "web", "10.0.0.1", 80)
        world.publish({"t.hcl": task("named", "web") + task("matched", regexp="^w", buffer="")})
        for name in ("named", "matched"):
            world.applied_right(name, "web")
        before, end = world.mark(), time.monotonic() + QUIET
        world.until(lambda: time.monotonic() > end, "three minutes to pass", QUIET + 10)

        calls = [call for call in world.calls(before) if call["caller"] != "user"]
        written = [call["writes"] for call in calls if call["writes"]]
        assert written == [HEARTBEAT] * len(written)
        assert len(written) >= HEARTBEATS
        assert [call for call in calls if call["action"].startswith(("Put", "Start"))] == [
            call for call in calls if call["writes"] == HEARTBEAT
        ]
        assert [
            event for event in world.stack.events(before.event) if event["source"] == "cts"
        ] == []
        ticked = {each["target"] for each in world.events("Scheduled Event", before, "delivered")}
        assert ticked == {"Poller", "Tracker"}

        world.catalog.register("web-1", "web", "10.0.0.1", 81)
        for name in ("named", "matched"):
            assert len(world.applied_right(name, "web")) == 2
