"""One task with the instances and nodes of two real datacenters, which know each other."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

import httpx
import pytest

from cts.conditions.nodes import NodesCondition
from cts.conditions.services import ServicesCondition
from cts.run.state import Reason
from cts.workflow import start
from cts.workflow.live import live
from local import consul as local
from local.waiting import wait_until
from tests.contract.test_inputs import Specs, World

BOTH = ("dc1", "dc2")
SEEN_WITHIN = 60.0
SPECS: Specs = {
    "both": (
        ServicesCondition(("web",), datacenters=BOTH),
        (NodesCondition(datacenters=BOTH, filter='Node == "n1"'),),
        lambda _: None,
        {},
    )
}


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[local.Consul, ...]]:
    wan = local.free_ports(2)
    made = tuple(
        local.Consul(
            tmp_path_factory.mktemp(name),
            {
                "datacenter": name,
                "node_name": f"{name}-server",
                "ports": {"serf_wan": port},
                "advertise_addr_wan": "127.0.0.1",
                "retry_join_wan": [f"127.0.0.1:{wan[0]}"],
                "retry_interval_wan": "1s",
            },
        )
        for name, port in zip(BOTH, wan, strict=True)
    )
    try:
        for each in made:
            each.start()
        yield made
    finally:
        for each in made:
            each.stop()


def register(server: local.Consul, port: int) -> None:
    body = {"Node": "n1", "Address": "10.0.0.1", "Service": {"Service": "web", "Port": port}}
    with server.client() as client:

        def registered() -> bool:
            with suppress(httpx.TransportError):
                return client.put("/v1/catalog/register", json=body).is_success
            return False

        wait_until(registered, SEEN_WITHIN, "a leader")


def knows(one: local.Consul, other: str) -> bool:
    with one.client() as client:
        return client.get("/v1/catalog/nodes", params={"dc": other}).is_success


def ports(world: World) -> dict[str, int] | None:
    """Of the instances that the task would be given now, by datacenter."""
    given = world.given("both")
    if given is None or set(given["nodes"]) != {"n1.dc1", "n1.dc2"}:
        return None
    return {each["node_datacenter"]: each["port"] for each in given["services"].values()}


def runs(world: World) -> None:
    system = world.system
    assert system.start("both") is start.StartOutcome.STARTED
    run = system.running("both")
    system.begins(run)
    system.result(run, "applied")
    system.ends(run)
    assert Reason.CHANGE not in system.table.state("both").wanted


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SEEN_WITHIN):
        while not holds():
            await asyncio.sleep(0.05)


def test_each_datacenter_triggers_and_one_that_is_away_keeps_what_it_had(
    servers: tuple[local.Consul, local.Consul],
) -> None:
    here, far = servers
    wait_until(lambda: knows(here, "dc2"), SEEN_WITHIN, "dc1 to know dc2")
    world = World(here, Random(1), secure=False, specs=SPECS)

    async def scenario() -> None:
        watching = asyncio.create_task(live(world.poller()))

        async def change(server: local.Consul, port: int, expected: dict[str, int]) -> None:
            await asyncio.to_thread(register, server, port)
            await until(lambda: ports(world) == expected)
            runs(world)

        try:
            await asyncio.to_thread(register, here, 80)
            await change(far, 90, {"dc1": 80, "dc2": 90})
            await change(far, 91, {"dc1": 80, "dc2": 91})
            await change(here, 81, {"dc1": 81, "dc2": 91})
            await asyncio.to_thread(far.stop)
            await change(here, 82, {"dc1": 82, "dc2": 91})
            await asyncio.to_thread(far.start)
            await change(far, 92, {"dc1": 82, "dc2": 92})
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            world.http.close()

    asyncio.run(scenario())
