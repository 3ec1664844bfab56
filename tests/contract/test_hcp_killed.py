"""Runner and tracker are killed, or AWS fails, between any two calls of a run in HCP Terraform: of
the table, the bucket, the bus and the server's API. It comes out right, and is created once."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cts.errors import Unavailable, Upstream
from cts.events import RunFinished
from cts.run.model import RunStatus
from cts.workflow.track import NEWS_AFTER
from local.hcp.resources import is_final
from local.waiting import wait_until
from tests.contract.hcp_world import HcpWorld, InProcess, server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.hcp.server import HcpServer

ROUNDS = 8
FEWEST = 50
"""Calls of a task's first run, from its start to its end: so many fail at least."""


class Killed(BaseException):
    """The function is gone."""


class Fate:
    """Lets all calls through, but one: that fails before it is done, or after."""

    def __init__(self, at: int, error: type[BaseException], *, late: bool) -> None:
        self.calls = 0
        self.struck = False
        self.at, self._error, self._late = at, error, late

    def around(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        strikes = self.calls == self.at
        self.struck = self.struck or strikes
        if strikes and not self._late:
            raise self._error("it fails")
        done = call(*arguments, **named)
        if strikes:
            raise self._error("it fails")
        return done

    def over(self, port: object) -> None:
        """All its methods from now on. What they call among themselves counts, too."""
        for name in dir(port):
            call = getattr(port, name)
            if not name.startswith("_") and callable(call):
                setattr(port, name, self._struck(call))

    def _struck(self, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **named: self.around(call, *arguments, **named)


class Wire(httpx.BaseTransport):
    def __init__(self, hcp: HcpServer, fate: Fate) -> None:
        self._fate, self._real = fate, InProcess(hcp)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        def answered() -> httpx.Response:
            answer = self._real.handle_request(request)
            answer.read()
            return answer

        try:
            found: httpx.Response = self._fate.around(answered)
        except Unavailable:
            raise httpx.ReadTimeout("timed out") from None
        return found


def system(hcp: HcpServer, fate: Fate) -> HcpWorld:
    made = HcpWorld(hcp, Wire(hcp, fate), longest=0.01)
    made.cloud_task()
    made.web(80)
    made.observe("web")
    for port in (made.table, made.bucket, made.bus):
        fate.over(port)
    return made


def rests(world: HcpWorld) -> bool:
    state = world.table.stored_states["web"]
    return state.done is not None and not (state.running or state.unannounced)


def lives_on(world: HcpWorld) -> None:
    """What the functions do until the task is at rest, each of them new after it was killed."""
    for _ in range(ROUNDS):
        for act in (lambda: world.start("web"), world.sweep):
            try:
                with suppress(Upstream):
                    act()
            except Killed:
                world.drivers["terraform-cloud"] = world.driver_of(world.http)
        wait_until(lambda: all(map(is_final, world.runs())), 20, "all runs to end")
        if rests(world):
            return
        world.clock.now += NEWS_AFTER
    pytest.fail(f"the task is not at rest: {world.table.stored_states['web']}")


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Killed, Unavailable], ids=["killed", "unavailable"])
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_a_run_is_created_once_applied_and_announced_whatever_fails(
    tmp_path: Path, error: type[BaseException], step: int, *, late: bool
) -> None:
    """At each call, or with a step at some of them, others for each seed."""
    for at in count(random.randint(1, step), step):
        fate = Fate(at, error, late=late)
        with server(tmp_path / str(at)) as hcp:
            hcp.api.engine.instant = True
            world = system(hcp, fate)
            lives_on(world)
            fate.at = 0
            comes_out_right(world, f"call {at}")
            world.close()
        if not fate.struck:
            break
    assert at > FEWEST


def comes_out_right(world: HcpWorld, what: str) -> None:
    assert [run.status for run in world.runs()] == ["applied"], what
    state = world.table.stored_states["web"]
    assert state.done is not None, what
    assert state.done.trigger == world.trigger("web"), what
    assert world.table.held_slots == set(), what
    ended = [row.status for row in world.table.stored_runs.values()]
    assert [each for each in ended if each is not RunStatus.CANCELED] == [RunStatus.APPLIED], what
    assert {told.run_id for told in world.bus.of(RunFinished)} == {state.done.run}, what
    assert len(world.server.store.workspaces) == 1, what
