"""Each request of the driver of HCP Terraform fails once, in each way, and runs come out right."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from cts.errors import Unavailable, Upstream
from cts.run.model import RunStatus
from cts.workflow.start import StartOutcome
from cts.workflow.track import NEWS_AFTER
from local.hcp.resources import is_final
from local.waiting import wait_until
from tests.contract.hcp_inbox import Inbox
from tests.contract.hcp_world import PERSON, HcpWorld, InProcess, server
from tests.fakes import failing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from local.hcp.server import HcpServer


REQUESTS = 19
"""Those of a task's first run, from its start to its end."""
OF_START = 14
"""Those until it is created."""
ROUNDS = 12
IN_POOL = {"execution_mode": "agent", "agent_pool_name": "network"}
LOST, SLOW = "no answer", pytest.mark.slow
FAULTS = (LOST, "too many", "server error", "not sent", "killed before", "killed after")


class Killed(BaseException):
    """The function is gone."""


class Faulty(httpx.BaseTransport):
    """Lets all requests through, but one: the first, or a later one, of those whose method and
    path contain `only`. The server ignores `include`, as some do, so that more requests are
    needed."""

    def __init__(self, hcp: HcpServer, at: int, fault: str, only: str = "") -> None:
        self.sent = 0
        self._at, self._fault, self._only = at, fault, only
        self._real = InProcess(hcp)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_remove_param("include")
        counts = self._only in f"{request.method} {request.url.path}"
        self.sent += counts
        if not counts or self.sent != self._at:
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


@pytest.fixture
def hcp(tmp_path: Path) -> Iterator[HcpServer]:
    with server(tmp_path) as made:
        made.api.engine.instant = True
        yield made


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as made:
        yield made


def system(hcp: HcpServer, transport: httpx.BaseTransport, inbox: Inbox) -> HcpWorld:
    """Its task needs all that a workspace can have."""
    made = HcpWorld(hcp, transport, inbox.url, longest=0.05)
    made.cloud_task(**IN_POOL, environment={"A": "1", "B": "2"})
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


def test_there_are_as_many_requests_as_fail_here(hcp: HcpServer, inbox: Inbox) -> None:
    transport = Faulty(hcp, 0, "")
    world = system(hcp, transport, inbox)
    survives(world)
    assert transport.sent == REQUESTS
    world.close()


@pytest.mark.parametrize("at", range(1, REQUESTS + 1))
@pytest.mark.parametrize("fault", [LOST, *(pytest.param(f, marks=SLOW) for f in FAULTS[1:])])
def test_a_run_is_created_once_and_applied_whatever_fails(
    hcp: HcpServer, inbox: Inbox, fault: str, at: int
) -> None:
    world = system(hcp, Faulty(hcp, at, fault), inbox)
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


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("only", ["PATCH ", "DELETE "])
def test_a_later_run_sets_its_variables_whatever_fails(
    hcp: HcpServer, inbox: Inbox, only: str, fault: str
) -> None:
    transport = Faulty(hcp, 1, fault, only)
    world = system(hcp, transport, inbox)
    survives(world)
    assert transport.sent == 0
    world.cloud_task(**IN_POOL, environment={"A": "3"})
    world.observe("web")
    survives(world)
    assert transport.sent > 0
    found = hcp.store.named("acme", "net-web")
    assert found is not None
    assert {each["key"]: each["value"] for each in found.variables.values()} == {"A": "3"}
    assert [run.status for run in world.runs()] == ["applied", "applied"]
    world.close()


class Answering(httpx.BaseTransport):
    """Answers the first deletion below a path itself."""

    def __init__(self, hcp: HcpServer, below: str, status: int) -> None:
        self.below, self._status = below, status
        self._real = InProcess(hcp)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE" and self.below and self.below in request.url.path:
            self.below = ""
            return httpx.Response(self._status, json={"errors": [{"detail": "not today"}]})
        return self._real.handle_request(request)


def test_a_variable_that_can_not_be_deleted_keeps_the_run_from_beginning(
    hcp: HcpServer, inbox: Inbox
) -> None:
    world = system(hcp, Answering(hcp, "/vars/", 403), inbox)
    survives(world)
    world.cloud_task(**IN_POOL, environment={"A": "3"})
    world.observe("web")
    assert world.start("web") is StartOutcome.REFUSED
    [ended, _] = world.table.runs("web", 9)
    assert ended.end is not None
    assert "setting the variables of the workspace net-web: not today" in (ended.end.error or "")
    world.clock.now += NEWS_AFTER
    survives(world)
    assert [run.status for run in world.runs()] == ["applied", "applied"]
    world.close()


def test_a_variable_that_somebody_deleted_meanwhile_is_deleted(
    hcp: HcpServer, inbox: Inbox
) -> None:
    world = system(hcp, Answering(hcp, "/vars/", 404), inbox)
    survives(world)
    world.cloud_task(**IN_POOL, environment={"A": "3"})
    world.observe("web")
    assert world.start("web") is StartOutcome.STARTED
    world.close()


@pytest.mark.parametrize("status", [403, 404])
def test_a_former_notification_that_can_not_be_deleted_is_deleted_at_a_later_run(
    hcp: HcpServer, inbox: Inbox, status: int
) -> None:
    """404: it was deleted, or the token does not allow it: then it stays, as nothing tells."""
    transport = Answering(hcp, "/notification-configurations/", status)
    world = system(hcp, transport, inbox)
    survives(world)
    world.token.token = PERSON
    left = []
    for port in (81, 82):
        world.web(port)
        world.observe("web")
        survives(world)
        left.append(len(notifications(hcp)))
    assert transport.below == ""
    assert left == ([2, 1] if status == 403 else [2, 2])
    world.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_another_key_takes_the_place_of_the_former_one_whatever_fails(
    hcp: HcpServer, inbox: Inbox, fault: str
) -> None:
    transport = Faulty(hcp, 1, fault, "DELETE /api/v2/notification-configurations/")
    world = system(hcp, transport, inbox)
    survives(world)
    world.token.token = PERSON
    world.web(81)
    world.observe("web")
    survives(world)
    assert transport.sent > 0
    assert len(notifications(hcp)) == 1
    assert [run.status for run in world.runs()] == ["applied", "applied"]
    world.close()


def notifications(hcp: HcpServer) -> Collection[object]:
    """Those of the task's workspace."""
    found = hcp.store.named("acme", "net-web")
    assert found is not None
    return found.notifications


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_that_waits_is_discarded_for_a_newer_one_whatever_fails(
    hcp: HcpServer, fault: str
) -> None:
    transport = Faulty(hcp, 1, fault, "/actions/discard")
    world = HcpWorld(hcp, transport, longest=0.05)
    world.cloud_task()
    world.web(80)
    world.needs_approval()
    world.started()
    former = world.reaches("planned")
    world.web(81)
    world.observe("web")
    for _ in range(ROUNDS):
        for act in (world.sweep, lambda: world.start("web")):
            with suppress(Upstream, Killed):
                act()
        if world.runs()[0].id != former:
            break
        world.clock.now += NEWS_AFTER
    world.act(world.reaches("planned"), "apply")
    world.reaches("applied")
    assert world.swept().status is RunStatus.APPLIED
    assert transport.sent > 0
    assert [run.status for run in world.runs()] == ["applied", "discarded"]
    rows = [row.status for row in world.table.runs("web", 9)]
    assert rows == [RunStatus.APPLIED, RunStatus.CANCELED]
    done = world.table.state("web").done
    assert done is not None
    assert done.trigger == world.trigger("web")
    assert world.table.slots() == frozenset()
    world.close()


class Between(httpx.BaseTransport):
    """Before one of the requests something else happens."""

    def __init__(self, hcp: HcpServer, at: int, happens: Callable[[], object]) -> None:
        self._left, self._happens = at, happens
        self._real = InProcess(hcp)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return self._real.handle_request(request)


@pytest.mark.parametrize("at", range(1, OF_START + 1))
def test_two_functions_that_start_a_run_at_once_create_it_once(
    hcp: HcpServer, inbox: Inbox, at: int
) -> None:
    world = system(hcp, Faulty(hcp, 0, ""), inbox)
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

    with httpx.Client(transport=Between(hcp, at, another)) as http, suppress(Upstream):
        begun.append(world.driver_of(http).start(run, archive))
    assert len(world.runs()) == 1
    assert {url.rpartition("/")[2] for url in begun} == {world.runs()[0].id}
    survives(world)
    assert len(world.runs()) == 1
    world.close()
