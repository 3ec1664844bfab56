"""Asking Consul: the fake as it is, the adapter over HTTP to a server with the fake's catalog, and
the adapter over HTTPS to a real Consul with ACLs, by a token that may do no more than needed."""

import asyncio
import shutil
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import httpx
import pytest

from cts.adapters.consul import Consul
from cts.conditions import consul_kv, intentions, nodes, services
from cts.errors import Refused, Unavailable
from cts.watch.query import ConsulRequest, Kind, View
from cts.watch.query import request as request_of
from cts.watch.snapshot import EMPTY, members, snapshot
from local import consul as local
from tests.fake_consul import FakeConsul, Token, instance, system
from tests.unit.virtual_time import VirtualTime, run

WEB, LISTING = View(services.SERVICE, "web"), View(services.LISTING)
CATALOG, CHECKS, KV = PROBES = (
    View(services.CATALOG_INDEX),
    View(services.CHECKS_INDEX),
    View(consul_kv.KV_INDEX),
)
SOON = 10.0
"""Seconds in which a change must be seen on a busy machine. One that waits for another query to end
comes much later."""
Scenario = Callable[[], Awaitable[None]]


class Catalog(Protocol):
    async def set(self, name: str, instances: Iterable[Mapping[str, Any]] | None) -> None: ...
    async def lose_everything(self) -> None: ...


class Asking:
    """The fake, or the adapter with the fake's catalog behind it; waiting takes no time."""

    wait = 60
    """Seconds that a query is held if nothing happens."""

    def __init__(self, kind: str) -> None:
        self.fake = FakeConsul()
        self.catalog: Catalog = self.fake
        self.port: FakeConsul | Consul = self.fake
        if kind == "adapter":
            server = httpx.MockTransport(partial(answer, self.fake))
            self.port = Consul("consul", Token(), system, lambda *_: server)

    def refuse(self) -> None:
        self.fake.errors[WEB] = Refused("HTTP 403: no right")

    def run(self, scenario: Scenario) -> None:
        run(VirtualTime(), self._closed_after(scenario))

    async def _closed_after(self, scenario: Scenario) -> None:
        await scenario()
        await self.port.close()


async def answer(catalog: FakeConsul, request: httpx.Request) -> httpx.Response:
    """The catalog as Consul's HTTP API."""
    path, params = request.url.path, dict(request.url.params)
    for probe in PROBES:
        if ConsulRequest(path, params) == request_of(probe):
            index = str(await catalog.newest(probe))
            return httpx.Response(200, headers={"X-Consul-Index": index}, json={})
    listing = path == "/v1/catalog/services"
    view = LISTING if listing else View(services.SERVICE, unquote(path.rpartition("/")[2]))
    wait = int(params.get("wait", "0s").removesuffix("s"))
    try:
        answer = await catalog.ask(view, index=int(params.get("index", "0")), wait=wait)
    except Refused as error:
        return httpx.Response(403, text=str(error))
    _, instances = catalog.services.get(view.name, (0, None))
    body = {name: [] for name in answer.snapshot.value} if listing else instances or []
    return httpx.Response(200, headers={"X-Consul-Index": str(answer.index)}, json=body)


class Real:
    """The adapter, and a real Consul of which the catalog is written by an administrator."""

    wait = 2

    def __init__(self, server: local.Consul, folder: Path) -> None:
        self._server = server
        self._data = folder / "data"
        self._http = server.client()
        self._trusted = ssl.create_default_context(cafile=server.ca)
        self.catalog: Catalog = self
        self.token = Token(local.WATCHER)
        self.port: FakeConsul | Consul = Consul(server.address, self.token, self.authorities)
        self._registered: dict[str, set[tuple[str, str]]] = {}
        """Node and id of each service's instances."""

    async def authorities(self) -> ssl.SSLContext:
        return self._trusted

    async def set(self, name: str, instances: Iterable[Mapping[str, Any]] | None) -> None:
        await asyncio.to_thread(self._set, name, list(instances or ()))

    def _set(self, name: str, instances: list[Mapping[str, Any]]) -> None:
        for each in instances:
            node = {name: value for name, value in each["Node"].items() if name != "Meta"}
            self._put("register", {**node, "Service": each["Service"]})
        places = {(each["Node"]["Node"], each["Service"]["ID"]) for each in instances}
        for at, gone in self._registered.get(name, set()) - places:
            self._put("deregister", {"Node": at, "ServiceID": gone})
        self._registered[name] = places

    def _put(self, what: str, body: Mapping[str, Any]) -> None:
        self._http.put(f"/v1/catalog/{what}", json=body).raise_for_status()

    def intend(self, intention: Mapping[str, str]) -> str:
        """Returns its ID."""
        made = self._http.post("/v1/connect/intentions", json=intention).raise_for_status()
        identifier: str = made.json()["ID"]
        return identifier

    def forget_intention(self, identifier: str) -> None:
        self._http.delete(f"/v1/connect/intentions/{identifier}").raise_for_status()

    async def lose_everything(self) -> None:
        self._server.stop()
        shutil.rmtree(self._data)
        await asyncio.to_thread(self._server.start)
        self._registered.clear()

    def refuse(self) -> None:
        self.token.token = "00000000-0000-4000-8000-00000000000f"

    def run(self, scenario: Scenario) -> None:
        asyncio.run(self._closed_after(scenario))

    async def _closed_after(self, scenario: Scenario) -> None:
        try:
            await scenario()
        finally:
            await self.port.close()
            for name in list(self._registered):
                await self.set(name, None)
            self._http.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("consul")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[local.Consul]:
    server = local.Consul(folder, secure=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def real(server: local.Consul, folder: Path) -> Real:
    return Real(server, folder)


@pytest.fixture(params=["fake", "adapter", "real"])
def asking(request: pytest.FixtureRequest) -> Asking | Real:
    if request.param == "real":
        found: Real = request.getfixturevalue("real")
        return found
    return Asking(request.param)


def test_a_service_that_nobody_registered_is_empty(asking: Asking | Real) -> None:
    async def scenario() -> None:
        assert (await asking.port.ask(WEB)).snapshot == EMPTY
        assert "web" not in (await asking.port.ask(LISTING)).snapshot.value

    asking.run(scenario)


def test_instances_and_names_are_answered_with_their_index(asking: Asking | Real) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web", 1, Tags=["b", "a"])])
        answer = await asking.port.ask(WEB, consistent=True)
        assert answer.snapshot == snapshot(WEB, [instance("web", 1, Tags=["a", "b"])])
        assert answer.index == await asking.port.newest(CATALOG)
        assert "web" in (await asking.port.ask(LISTING)).snapshot.value

    asking.run(scenario)


def test_a_held_query_is_answered_once_its_view_moves(asking: Asking | Real) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web")])
        index = (await asking.port.ask(WEB)).index
        held = asyncio.create_task(asking.port.ask(WEB, index=index, wait=300))
        await asking.catalog.set("other", [instance("other")])
        await asyncio.sleep(0.5)
        assert not held.done()
        await asking.catalog.set("web", [])
        answer = await held
        assert answer.index > index
        assert answer.snapshot == EMPTY

    asking.run(scenario)


def test_a_held_query_ends_with_its_wait(asking: Asking | Real) -> None:
    async def scenario() -> None:
        await asking.catalog.set("web", [instance("web")])
        first = await asking.port.ask(WEB)
        began = asyncio.get_running_loop().time()
        assert await asking.port.ask(WEB, index=first.index, wait=asking.wait) == first
        assert asyncio.get_running_loop().time() - began >= asking.wait

    asking.run(scenario)


def test_an_index_above_consuls_own_is_held_for_the_whole_wait(asking: Asking | Real) -> None:
    async def scenario() -> None:
        held = asyncio.create_task(asking.port.ask(WEB, index=9_999, wait=asking.wait))
        await asyncio.sleep(0.5)
        await asking.catalog.set("web", [instance("web")])
        await asyncio.sleep(0.5)
        assert not held.done()
        assert (await held).index < 9_999

    asking.run(scenario)


def test_the_newest_index_goes_back_only_with_lost_data(asking: Asking | Real) -> None:
    async def scenario() -> None:
        for port in range(50):
            await asking.catalog.set("web", [instance("web", Port=port)])
        newest = await asking.port.newest(CATALOG)
        assert newest == (await asking.port.ask(WEB)).index
        await asking.catalog.lose_everything()
        assert await asking.port.newest(CATALOG) < newest

    asking.run(scenario)


def test_what_is_refused_is_refused(asking: Asking | Real) -> None:
    async def scenario() -> None:
        asking.refuse()
        with pytest.raises(Refused, match="HTTP 403"):
            await asking.port.ask(WEB)

    asking.run(scenario)


# ---- what only a real Consul can show ------------------------------------------------------------


def test_a_probe_has_its_tables_newest_index_and_needs_no_permission(real: Real) -> None:
    """Without a token nothing may be read."""
    real.token.token = ""

    async def scenario() -> None:
        before = [await real.port.newest(probe) for probe in PROBES]
        real._http.put("/v1/kv/probed", content="1").raise_for_status()
        written = int(real._http.get("/v1/kv/probed").headers["X-Consul-Index"])
        assert [await real.port.newest(probe) for probe in PROBES] == [*before[:2], written]
        with pytest.raises(Refused, match="HTTP 403"):
            await real.port.ask(View(consul_kv.KEY, "probed"))
        with pytest.raises(Unavailable, match="No path to datacenter"):
            await real.port.newest(View(services.CATALOG_INDEX, datacenter="nowhere"))

    real.run(scenario)


def test_over_https_each_of_many_held_queries_sees_its_change(real: Real) -> None:
    """With all of them on one connection most changes came many seconds late."""
    views = [View(services.SERVICE, f"s{number}") for number in range(40)]

    async def scenario() -> None:
        for view in views:
            await real.set(view.name, [instance(view.name)])
        indices = [(await real.port.ask(view)).index for view in views]
        held = [
            asyncio.create_task(real.port.ask(view, index=index, wait=300))
            for view, index in zip(views, indices, strict=True)
        ]
        for number in range(0, len(views), 4):
            name = views[number].name
            await real.set(name, [instance(name, Port=81)])
            answer = await asyncio.wait_for(held[number], SOON)
            assert [row["port"] for row in answer.snapshot.value] == [81]
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)

    real.run(scenario)


@pytest.mark.parametrize("bad", ["((", 'Nope == "x"', 'Service.Port == "a"'])
@pytest.mark.parametrize("index", [0, 1])
def test_a_bad_filter_is_refused_with_consuls_sentence(real: Real, bad: str, index: int) -> None:
    async def scenario() -> None:
        view = View(services.SERVICE, "web", filter=bad)
        with pytest.raises(Refused, match="HTTP 500: Failed to create boolean expression"):
            await real.port.ask(view, index=index, wait=1)

    real.run(scenario)


@pytest.mark.parametrize("mode", ["stale", "consistent"])
def test_in_each_mode_a_query_is_answered_and_held_alike(real: Real, mode: str) -> None:
    async def scenario() -> None:
        asking = Consul(real._server.address, real.token, real.authorities, consistency=mode)
        await real.set("web", [instance("web")])
        answer = await real.port.ask(WEB, consistent=True)
        assert await asking.ask(WEB) == answer
        held = asyncio.create_task(asking.ask(WEB, index=answer.index, wait=300))
        await real.set("web", [])
        assert (await held).snapshot == EMPTY
        await asking.close()

    real.run(scenario)


def test_a_certificate_of_another_authority_is_not_trusted(real: Real) -> None:
    async def scenario() -> None:
        stranger = Consul(real._server.address, real.token, system)
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.ask(WEB)
        assert real.token.forgotten == []
        await stranger.close()

    real.run(scenario)


NODES, INTENTIONS = View(nodes.NODES), View(intentions.INTENTIONS)
RACK = {"Node": "rack-1", "Address": "10.1.1.1", "NodeMeta": {"rack": 'a"${x}'}}


def test_nodes_are_answered_and_filtered(real: Real) -> None:
    """By a token with no more than the poller's rights."""

    async def scenario() -> None:
        real._put("register", RACK)
        try:
            every = (await real.port.ask(NODES, consistent=True)).snapshot.value
            assert {"local", "rack-1"} <= {row["name"] for row in every}
            [found] = [row for row in every if row["name"] == "rack-1"]
            assert found == {
                "id": "",
                "name": "rack-1",
                "address": "10.1.1.1",
                "datacenter": "dc1",
                "tagged_addresses": {},
                "meta": {"rack": 'a"${x}'},
            }
            for some in (
                View(nodes.NODES, filter='Node == "rack-1"'),
                View(nodes.NODES, "", "dc1", node_meta=(("rack", 'a"${x}'),)),
            ):
                assert (await real.port.ask(some)).snapshot.value == [found]
        finally:
            real._put("deregister", {"Node": "rack-1"})

    real.run(scenario)


def test_intentions_are_answered_and_filtered(real: Real) -> None:
    web = {"SourceName": "web", "DestinationName": "db", "Action": "allow", "Description": "${x}"}
    every_source = {"SourceName": "*", "DestinationName": "db", "Action": "deny"}

    async def scenario() -> None:
        made = [real.intend({"SourceType": "consul", **each}) for each in (every_source, web)]
        try:
            answer = await real.port.ask(INTENTIONS, consistent=True)
            assert members(INTENTIONS, answer.snapshot) == {"web => db", "* => db"}
            denied = View(intentions.INTENTIONS, filter='Action == "deny"')
            [row] = (await real.port.ask(denied)).snapshot.value
            assert (row["source"], row["action"], row["precedence"]) == ("*", "deny", 8)
        finally:
            for each in made:
                real.forget_intention(each)

    real.run(scenario)


@pytest.mark.parametrize("kind", [nodes.NODES, intentions.INTENTIONS])
def test_a_bad_filter_on_a_listing_is_refused_with_consuls_sentence(real: Real, kind: Kind) -> None:
    async def scenario() -> None:
        with pytest.raises(Refused, match="HTTP 500: Failed to create boolean expression"):
            await real.port.ask(View(kind, filter="(("))

    real.run(scenario)


def test_a_held_query_on_nodes_or_intentions_sleeps_through_other_changes(real: Real) -> None:
    async def scenario() -> None:
        indices = [(await real.port.ask(view)).index for view in (NODES, INTENTIONS)]
        of_nodes, of_intentions = (
            asyncio.create_task(real.port.ask(view, index=index, wait=300))
            for view, index in zip((NODES, INTENTIONS), indices, strict=True)
        )
        real._put("register", {**RACK, "Node": "rack-2"})
        answer = await asyncio.wait_for(of_nodes, SOON)
        real._put("deregister", {"Node": "rack-2"})
        assert "rack-2" in members(NODES, answer.snapshot)
        assert not of_intentions.done()
        made = real.intend({"SourceName": "a", "DestinationName": "b", "Action": "allow"})
        try:
            answer = await asyncio.wait_for(of_intentions, SOON)
            assert "a => b" in members(INTENTIONS, answer.snapshot)
        finally:
            real.forget_intention(made)

    real.run(scenario)
