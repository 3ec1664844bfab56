"""Each request of the driver of HCP Terraform fails once, in each way, and runs come out right."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from cts.errors import Unavailable, Upstream
from cts.run.model import RunStatus
from cts.workflow.track import NEWS_AFTER
from local.hcp.resources import is_final
from local.waiting import wait_until
from tests.contract.hcp_world import HcpWorld, server
from tests.fakes import failing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.hcp.server import HcpServer


REQUESTS = 12
"""Those of a task's first run, from its start to its end."""
OF_START = 9
"""Those until it is created."""
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
    rows = [row.status for row in world.table.runs("web", 9)]
    assert [each for each in rows if each is not RunStatus.CANCELED] == [RunStatus.APPLIED]
    assert len(world.runs()) == 1
    assert len(world.server.store.workspaces) == 1
    world.close()


class Between(httpx.BaseTransport):
    """Before one of the requests something else happens."""

    def __init__(self, at: int, happens: Callable[[], object]) -> None:
        self._left, self._happens = at, happens
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return self._real.handle_request(request)

    def close(self) -> None:
        self._real.close()


@pytest.mark.parametrize("at", range(1, OF_START + 1))
def test_two_functions_that_start_a_run_at_once_create_it_once(hcp: HcpServer, at: int) -> None:
    world = system(hcp, Faulty(0, ""))
    with (
        failing(world.drivers["terraform-cloud"], "start", Unavailable("gone")),
        suppress(Upstream),
    ):
        world.start("web")
    run = world.running("web")
    archive = world.bucket.archive("web", run.id) or b""
    begun: list[str] = []

    def another() -> None:
        with suppress(Upstream):
            begun.append(world.driver_of(world.http).start(run, archive))

    with httpx.Client(transport=Between(at, another)) as http, suppress(Upstream):
        begun.append(world.driver_of(http).start(run, archive))
    assert len(world.runs()) == 1
    assert {url.rpartition("/")[2] for url in begun} == {world.runs()[0].id}
    survives(world)
    assert len(world.runs()) == 1
    world.close()
