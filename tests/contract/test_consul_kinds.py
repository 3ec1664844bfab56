"""What a real Consul answers to the queries of keys and of the catalog."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cts.adapters.consul import Consul
from cts.conditions.catalog_services import CatalogServicesCondition
from cts.conditions.condition import Condition
from cts.conditions.consul_kv import KvCondition
from cts.conditions.services import LISTING, ServicesCondition
from cts.watch.query import View
from cts.watch.view import Answer
from local import consul as local
from tests.fake_consul import Token, system

SOON = 10.0
ODD = ["a b", "ü/é", "a%20b", "q?x=1", "h#y", "w\\z", 'quo"te', "p+", "s;x", "s*", "${x}", "for"]
ODD += ["a&b=c", "c:d", "\U0001f600", "~", "{{ env }}"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.Consul]:
    server = local.Consul(Path(tmp_path_factory.mktemp("consul")))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def http(server: local.Consul) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
        client.delete("/v1/kv/", params={"recurse": ""}).raise_for_status()


def put(http: httpx.Client, values: dict[str, bytes]) -> None:
    """In a transaction, which takes any key."""
    sets = [{"Verb": "set", "Key": k, "Value": b64encode(v).decode()} for k, v in values.items()]
    http.put("/v1/txn", json=[{"KV": each} for each in sets]).raise_for_status()


def write(http: httpx.Client, key: str, value: bytes | None) -> None:
    done = (
        http.delete(f"/v1/kv/{key}") if value is None else http.put(f"/v1/kv/{key}", content=value)
    )
    done.raise_for_status()


def run(server: local.Consul, scenario: Callable[[Consul], Awaitable[None]]) -> None:
    async def closed_after() -> None:
        port = Consul(server.address, Token(), system)
        try:
            await scenario(port)
        finally:
            await port.close()

    asyncio.run(closed_after())


async def read(port: Consul, condition: Condition, **options: Any) -> Answer:
    [view] = condition.views(None)
    return await port.ask(view, **options)


def pairs(answer: Answer) -> dict[str, str]:
    return {each["key"]: each["value"] for each in answer.snapshot.value}


def test_each_key_is_read_by_its_name(server: local.Consul, http: httpx.Client) -> None:
    put(http, {name: f"of {name}".encode() for name in ODD})

    async def scenario(port: Consul) -> None:
        for name in ODD:
            assert pairs(await read(port, KvCondition(name))) == {name: f"of {name}"}

    run(server, scenario)


def test_a_path_is_a_prefix_and_folders_are_keys(server: local.Consul, http: httpx.Client) -> None:
    put(http, {"app": b"1", "app/": b"", "app/x": b"\xff\n", "app2/y": b"${y}", "ap": b""})

    async def scenario(port: Consul) -> None:
        below = {"app/": "", "app/x": "\ufffd\n"}
        whole = {"app": "1", "app2/y": "${y}", **below}
        assert pairs(await read(port, KvCondition("/app", recurse=True))) == whole
        assert pairs(await read(port, KvCondition("app/", recurse=True))) == below
        assert pairs(await read(port, KvCondition("app/"))) == {"app/": ""}

    run(server, scenario)


def test_each_service_that_can_be_asked_for_is_listed_and_read_by_its_name(
    server: local.Consul, http: httpx.Client
) -> None:
    """Where Consul cleans the path, it answers with another service, or with an error."""
    lost = [".", "..", "/a", "a//b", "a/../b"]
    for name in (kept := [*ODD, "a/", "a/b", " "]) + lost:
        service = {"ID": f"of {name}", "Service": name}
        body = {"Node": "odd", "Address": "10.0.0.1", "Service": service}
        http.put("/v1/catalog/register", json=body).raise_for_status()

    async def scenario(port: Consul) -> None:
        listing = (await port.ask(View(LISTING))).snapshot
        assert {*kept, "consul"} <= set(listing.value)
        assert not set(lost).intersection(listing.value)
        for view in ServicesCondition(regexp="").views(listing):
            if view.name in kept:
                [row] = (await port.ask(view)).snapshot.value
                assert (row["id"], row["name"]) == (f"of {view.name}", view.name)

    run(server, scenario)
    http.put("/v1/catalog/deregister", json={"Node": "odd"}).raise_for_status()


@pytest.mark.parametrize("recurse", [False, True])
def test_a_held_query_sees_a_key_come_change_and_go(
    server: local.Consul, http: httpx.Client, recurse: bool
) -> None:
    condition = KvCondition("app/key", recurse=recurse)

    async def scenario(port: Consul) -> None:
        answer = await read(port, condition)
        assert (pairs(answer), answer.index > 0) == ({}, True)
        for value in (b"1", b"2", None):
            held = asyncio.create_task(read(port, condition, index=answer.index, wait=60))
            await asyncio.to_thread(write, http, "app/key", value)
            answer = await asyncio.wait_for(held, SOON)
            assert pairs(answer) == ({"app/key": value.decode()} if value else {})

    run(server, scenario)


CHECKED = {
    "none": [],
    "pass": ["passing"],
    "warn": ["passing", "warning"],
    "both": ["warning", "critical"],
    "crit": ["critical"],
}


@pytest.mark.parametrize(
    ("health", "filter_", "expected"),
    [
        ("", "", "none pass"),
        ("passing", "", "none pass"),
        ("warning", "", "none pass warn"),
        ("any", "", "both crit none pass warn"),
        ("", 'Service.ID != "pass"', "none"),
        ("warning", 'Service.ID == "pass" or Service.ID != "none"', "pass warn"),
        ("any", 'Service.ID != "pass"', "both crit none warn"),
        ("any", 'Checks.Status == "warning"', "both warn"),
        ("", 'Checks.Status != ""', "both crit pass warn"),
    ],
)
def test_health_says_which_instances_count(
    server: local.Consul, http: httpx.Client, health: str, filter_: str, expected: str
) -> None:
    for name, states in CHECKED.items():
        checks = [
            {"Node": name, "CheckID": f"{name}-{n}", "ServiceID": name, "Status": state}
            for n, state in enumerate(states)
        ]
        facts = {"Node": name, "Address": "10.0.0.1", "Checks": checks}
        service = {"Service": {"ID": name, "Service": "checked"}}
        http.put("/v1/catalog/register", json={**facts, **service}).raise_for_status()

    async def scenario(port: Consul) -> None:
        condition = ServicesCondition(("checked",), filter=filter_).with_health(health)
        answer = await read(port, condition)
        assert sorted(each["id"] for each in answer.snapshot.value) == expected.split()

    run(server, scenario)


def test_the_catalog_has_the_tags_of_all_instances_on_such_nodes(
    server: local.Consul, http: httpx.Client
) -> None:
    for node, tags in (("one", ["b", "a", "B"]), ("two", ["z"])):
        service = {"ID": node, "Service": "web", "Tags": tags}
        facts = {"Node": node, "Address": "10.0.0.1", "NodeMeta": {"rack": node, "row": "1"}}
        http.put("/v1/catalog/register", json={**facts, "Service": service}).raise_for_status()

    async def found(port: Consul, **node_meta: str) -> list[list[str]]:
        condition = CatalogServicesCondition("", node_meta=tuple(node_meta.items()))
        answer = await read(port, condition)
        return [each["tags"] for each in answer.snapshot.value if each["name"] == "web"]

    async def scenario(port: Consul) -> None:
        assert await found(port) == [["B", "a", "b", "z"]]
        assert await found(port, rack="two", row="1") == [["z"]]
        assert await found(port, rack="two", row="2") == []

    run(server, scenario)
