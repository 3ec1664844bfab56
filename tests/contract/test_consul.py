"""Asking Consul: the fake as it is, and the adapter over HTTP to a server with its catalog."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import httpx
import pytest

from cts.adapters.consul import CATALOG_INDEX, Consul
from cts.errors import Refused
from cts.watch.query import Kind, View
from cts.watch.snapshot import EMPTY, snapshot
from tests.fake_consul import FakeConsul, instance
from tests.unit.virtual_time import VirtualTime, run

WEB, LISTING = View(Kind.SERVICE, "web"), View(Kind.LISTING)


class NoToken:
    def __call__(self) -> str:
        return ""

    def forget(self) -> None:
        """There is none."""


def server(catalog: FakeConsul) -> httpx.AsyncBaseTransport:
    """The catalog as Consul's HTTP API."""

    async def handle(request: httpx.Request) -> httpx.Response:
        path, params = request.url.path, dict(request.url.params)
        if (path, params) in CATALOG_INDEX:
            index = max(await catalog.newest_indices())
            return httpx.Response(200, headers={"X-Consul-Index": str(index)}, json={})
        listing = path == "/v1/catalog/services"
        view = LISTING if listing else View(Kind.SERVICE, unquote(path.rpartition("/")[2]))
        wait = int(params.get("wait", "0s").removesuffix("s"))
        try:
            answer = await catalog.ask(view, index=int(params.get("index", "0")), wait=wait)
        except Refused as error:
            return httpx.Response(403, text=str(error))
        _, instances = catalog.services.get(view.name, (0, None))
        body = {name: [] for name in answer.snapshot.names} if listing else instances or []
        return httpx.Response(200, headers={"X-Consul-Index": str(answer.index)}, json=body)

    return httpx.MockTransport(handle)


class Asking:
    """A catalog, and a port to ask it by."""

    def __init__(self, kind: str) -> None:
        self.catalog = FakeConsul()
        self.port: FakeConsul | Consul = self.catalog
        if kind == "adapter":
            self.port = Consul("consul", NoToken(), transport=lambda: server(self.catalog))

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await scenario()
            await self.port.close()

        run(VirtualTime(), main())


@pytest.fixture(params=["fake", "adapter"])
def asking(request: pytest.FixtureRequest) -> Asking:
    return Asking(request.param)


def test_a_service_that_nobody_registered_is_empty(asking: Asking) -> None:
    async def scenario() -> None:
        assert (await asking.port.ask(WEB)).snapshot == EMPTY
        assert (await asking.port.ask(LISTING)).snapshot == EMPTY

    asking.run(scenario)


def test_instances_and_names_are_answered_with_their_index(asking: Asking) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web", 1, Tags=["b", "a"])])
        answer = await asking.port.ask(WEB, consistent=True)
        assert answer.snapshot == snapshot(WEB, [instance("web", 1, Tags=["a", "b"])])
        assert answer.index == asking.catalog.index
        assert (await asking.port.ask(LISTING)).snapshot.names == ["web"]

    asking.run(scenario)


def test_a_held_query_is_answered_once_its_view_moves(asking: Asking) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web")])
        index = (await asking.port.ask(WEB)).index
        held = asyncio.create_task(asking.port.ask(WEB, index=index, wait=300))
        await asking.catalog.set("other", [instance("other")])
        await asyncio.sleep(1)
        assert not held.done()
        await asking.catalog.set("web", [])
        answer = await held
        assert answer.index > index
        assert answer.snapshot == EMPTY

    asking.run(scenario)


def test_a_held_query_ends_with_its_wait(asking: Asking) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web")])
        first = await asking.port.ask(WEB)
        began = asyncio.get_running_loop().time()
        assert await asking.port.ask(WEB, index=first.index, wait=60) == first
        assert asyncio.get_running_loop().time() - began == pytest.approx(60)

    asking.run(scenario)


def test_an_index_above_consuls_own_is_held_for_the_whole_wait(asking: Asking) -> None:
    async def scenario() -> None:
        held = asyncio.create_task(asking.port.ask(WEB, index=9_999, wait=60))
        await asyncio.sleep(1)
        await asking.catalog.set("web", [instance("web")])
        await asyncio.sleep(1)
        assert not held.done()
        assert (await held).index < 9_999

    asking.run(scenario)


def test_the_newest_index_goes_back_only_with_lost_data(asking: Asking) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web")])
        newest = max(await asking.port.newest_indices())
        assert newest == (await asking.port.ask(WEB)).index
        await asking.catalog.lose_everything()
        assert max(await asking.port.newest_indices()) < newest

    asking.run(scenario)


def test_what_is_refused_is_refused(asking: Asking) -> None:
    asking.catalog.errors[WEB] = Refused("permission denied")

    async def scenario() -> None:
        with pytest.raises(Refused, match="permission denied"):
            await asking.port.ask(WEB)

    asking.run(scenario)
