"""200 tasks that are triggered at once stay below the limit of HCP Terraform's API."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cts.conditions.services import ServicesCondition
from cts.terraform.definition import Definition, Module
from cts.workflow import start
from local.hcp.resources import is_final
from local.waiting import wait_until
from tests.contract.hcp_world import HcpWorld, InProcess, server

if TYPE_CHECKING:
    from pathlib import Path

TASKS, AT_ONCE = 200, 10
TOO_MANY, ALLOWED = 429, 0.05


class OneAtATime:
    """What threads use one after the other."""

    def __init__(self, of: object) -> None:
        self._of, self._lock = of, threading.RLock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return found(*arguments, **named)

        return call


@pytest.mark.slow
def test_they_all_end_and_hardly_any_request_is_refused(tmp_path: Path) -> None:
    with server(tmp_path) as hcp:
        hcp.api.engine.instant = True
        world = HcpWorld(hcp, InProcess(hcp))
        world.web(80)
        names = [f"task-{number}" for number in range(TASKS)]
        for name in names:
            cloud = {**world.cloud, "workspace": name}
            module = Module("org/module/test", "1.0.0")
            world.define(Definition(name, module, ServicesCondition(("web",)), cloud=cloud))
            world.observe(name)
        table = OneAtATime(world.table)
        clients = [httpx.Client(transport=InProcess(hcp)) for _ in range(AT_ONCE)]
        free = [replace(world.start_ports, tasks=table, views=table, cap=TASKS,
                        drivers={"terraform-cloud": world.driver_of(client)})
                for client in clients]  # fmt: skip

        def run(name: str) -> start.StartOutcome:
            ports = free.pop()
            try:
                return start.start(ports, name)
            finally:
                free.append(ports)

        with ThreadPoolExecutor(AT_ONCE) as runners:
            outcomes = [*runners.map(run, names)]
        assert {*outcomes} == {start.StartOutcome.STARTED}
        wait_until(lambda: all(map(is_final, hcp.store.runs.values())), 60, "all runs to end")
        world.clock.now += 60
        while any(world.table.state(name).running for name in names):
            world.sweep()
        refused = sum(status == TOO_MANY for _, _, status in hcp.answered)
        assert refused < ALLOWED * len(hcp.answered), f"{refused} of {len(hcp.answered)}"
        assert all(world.table.state(name).done for name in names)
        for client in clients:
            client.close()
        world.close()
