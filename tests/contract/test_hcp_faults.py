"""Each request of the driver of HCP Terraform fails once, in each way, and runs come out right."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from cts.errors import Upstream
from cts.run.model import RunStatus
from cts.workflow.track import NEWS_AFTER
from local.hcp.resources import is_final
from local.waiting import wait_until
from tests.contract.hcp_world import HcpWorld, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.hcp.server import HcpServer


REQUESTS = 12
"""Those of a task's first run, from its start to its end."""
ROUNDS = 12


class Killed(BaseException):
    """The function is gone."""


class Faulty(httpx.BaseTransport):
    """Lets all requests through, but one."""

    def __init__(self, at: int, fault: str) -> None:
        self.sent = 0
        self._at, self._fault = at, fault
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        if self.sent != self._at:
            return self._real.handle_request(request)
        match self._fault:
            case "too many":
                headers = {"x-ratelimit-reset": "0.06"}
                return httpx.Response(429, headers=headers, json={"errors": [{"status": 429}]})
            case "server error":
                return httpx.Response(500)
            case "not sent":
                raise httpx.ConnectTimeout("timed out")
            case "killed before":
                raise Killed
        self._real.handle_request(request).read()
        if self._fault == "killed after":
            raise Killed
        raise httpx.ReadTimeout("timed out")

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def hcp(tmp_path: Path) -> Iterator[HcpServer]:
    with server(tmp_path) as made:
        made.api.engine.instant = True
        yield made


def system(hcp: HcpServer, transport: Faulty) -> HcpWorld:
    made = HcpWorld(hcp, transport)
    made.cloud_task()
    made.web(80)
    made.observe("web")
    return made


def survives(world: HcpWorld) -> None:
    """What the functions do until the task is done, whatever becomes of each of them."""
    for _ in range(ROUNDS):
        for act in (lambda: world.start("web"), world.sweep):
            with suppress(Upstream, Killed):
                act()
        wait_until(lambda: all(map(is_final, world.runs())), 20, "all runs to end")
        state = world.table.state("web")
        if state.done and not state.running:
            return
        world.clock.now += NEWS_AFTER
    pytest.fail(f"the task is not done: {world.table.state('web')}")


def test_there_are_as_many_requests_as_fail_here(hcp: HcpServer) -> None:
    transport = Faulty(0, "")
    world = system(hcp, transport)
    survives(world)
    assert transport.sent == REQUESTS
    world.close()


@pytest.mark.parametrize("at", range(1, REQUESTS + 1))
@pytest.mark.parametrize(
    "fault", ["too many", "server error", "not sent", "no answer", "killed before", "killed after"]
)
def test_a_run_is_created_once_and_applied_whatever_fails(
    hcp: HcpServer, fault: str, at: int
) -> None:
    world = system(hcp, Faulty(at, fault))
    survives(world)
    messages = Counter(run.attributes["message"] for run in world.runs())
    assert {*messages.values()} == {1}
    assert [run.status for run in world.runs()] == ["applied"] * len(world.runs())
    state = world.table.state("web")
    assert state.done is not None
    assert state.done.trigger == world.trigger("web")
    assert world.table.slots() == frozenset()
    rows = world.table.runs("web", 9)
    assert sum(row.status is RunStatus.APPLIED for row in rows) == len(world.runs()) == 1
    assert len(world.server.store.workspaces) == 1
    world.close()
