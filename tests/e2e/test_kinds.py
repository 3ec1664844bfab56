"""Each kind of condition, with module inputs of each kind: from a change in Consul to what
Terraform holds, equal to what Consul holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from cts.run.state import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

MODULE = {
    "modules/all/main.tf": """
variable "services" {
  type = any
}

variable "consul_kv" {
  type    = map(string)
  default = {}
}

variable "catalog_services" {
  type    = map(list(string))
  default = {}
}

resource "terraform_data" "all" {
  input = jsonencode([var.services, var.consul_kv, var.catalog_services])
}
"""
}
SERVICES = 'module_input "services" { names = ["kind-web"] }'
KEYS = 'module_input "consul-kv" { path = "kind/" recurse = true }'
TASKS = {
    "by-key": f'condition "consul-kv" {{ path = "kind/one" }} {SERVICES}',
    "by-keys": f'condition "consul-kv" {{ path = "/kind/" recurse = true }} {SERVICES}',
    "by-name": f'condition "catalog-services" {{ regexp = "^kind-" }} {SERVICES} {KEYS}',
    "by-service": f'condition "services" {{ regexp = "^kind-w" }} {KEYS}',
    "silent": f'condition "services" {{ names = ["kind-web"] use_as_module_input = false }} {KEYS}',
    "yearly": f'condition "schedule" {{ cron = "@yearly" }} {SERVICES} {KEYS}',
}
ODD = {
    "kind/one": "1",
    "kind/": "",
    "kind/json": '{"a": "${b}", "c": ["%{d}", "\\n"]}\n',
    'kind/quo"te ${x} %{y} ü': "back\\slash \\t\r\n\ttab \U0001f600 $${z}",
    "kind/empty": "",
}


@pytest.fixture
def consul(world: World) -> Iterator[httpx.Client]:
    with world.stack.consul_client() as client:
        yield client


def write(consul: httpx.Client, values: Mapping[str, str]) -> None:
    for key, value in values.items():
        consul.put(f"/v1/kv/{quote(key)}", content=value.encode()).raise_for_status()


def task(name: str, watched: str) -> str:
    body = f'name = "{name}"\nmodule = "./modules/all"\nbuffer_period {{ enabled = false }}'
    return f"task {{\n{body}\n{watched}\n}}\n"


def kept(world: World, name: str) -> list[Any] | None:
    """Services, keys and the catalog in the state of a task at rest; None: it is not."""
    state = world.state(name)
    if state.done is None or state.running or not (held := world.terraform_state(name)):
        return None
    [resource] = held["resources"]
    found: list[Any] = json.loads(resource["instances"][0]["attributes"]["input"]["value"])
    return found


def test_each_kind_holds_what_consul_holds(world: World, consul: httpx.Client) -> None:
    register = world.catalog.register
    register("kind-web-1", "kind-web", "10.1.0.1", 80, Tags=["b", "${a}", "B"])
    write(consul, ODD)
    names: dict[str, list[str]] = {"kind-web": ["${a}", "B", "b"]}
    keys = dict(ODD)
    one = {"kind/one": "1"}

    def holds(name: str, services: tuple[str, ...], kv: object, catalog: object, runs: int) -> None:
        expected = [world.expected(*services), kv, catalog]
        world.until(lambda: kept(world, name) == expected, f"{name} to hold what Consul holds")
        assert len(world.runs(name)) == runs

    web = ("kind-web",)
    world.publish({"kinds.hcl": "".join(map(task, TASKS, TASKS.values())), **MODULE})
    holds("by-key", web, one, {}, 1)
    holds("by-keys", web, keys, {}, 1)
    holds("by-name", web, keys, names, 1)
    holds("by-service", web, keys, {}, 1)
    holds("silent", (), keys, {}, 1)
    holds("yearly", web, keys, {}, 1)

    write(consul, {"kind/new": "${new}"})
    keys["kind/new"] = "${new}"
    holds("by-keys", web, keys, {}, 2)

    register("kind-web-1", "kind-web", "10.1.0.1", 81, Tags=["new"])
    holds("by-service", web, keys, {}, 2)
    holds("silent", (), keys, {}, 2)

    register("kind-api-1", "kind-api", "10.1.0.2", 80, status="critical")
    names = {"kind-web": ["new"], "kind-api": []}
    holds("by-name", web, keys, names, 2)

    consul.delete("/v1/kv/kind/one").raise_for_status()
    del keys["kind/one"]
    holds("by-key", web, {}, {}, 2)
    holds("by-keys", web, keys, {}, 3)
    assert [len(world.runs(name)) for name in TASKS] == [2, 3, 2, 2, 2, 1]


def test_a_schedule_applies_what_changed_and_nothing_else(
    world: World, consul: httpx.Client
) -> None:
    world.catalog.register("tick-web-1", "tick-web", "10.1.1.1", 80)
    write(consul, {"tick/one": "1"})
    inputs = (
        'module_input "services" { names = ["tick-web"] } module_input "consul-kv" '
        '{ path = "tick/" recurse = true }'
    )
    every_five_seconds = f'condition "schedule" {{ cron = "*/5 * * * * * *" }} {inputs}'
    world.publish({"ticks.hcl": task("ticking", every_five_seconds), **MODULE})

    def holds(value: str, port: int) -> None:
        services = world.expected("tick-web")
        assert {row["port"] for row in services.values()} == {port}
        expected = [services, {"tick/one": value}, {}]
        world.until(lambda: kept(world, "ticking") == expected, "the tick to apply what changed")

    holds("1", 80)
    write(consul, {"tick/one": "2"})
    holds("2", 80)
    world.catalog.register("tick-web-1", "tick-web", "10.1.1.1", 81)
    holds("2", 81)

    runs = world.runs("ticking")
    tick = world.state("ticking").wanted[Reason.SCHEDULE].due_at
    world.until(
        lambda: world.state("ticking").wanted[Reason.SCHEDULE].due_at > tick + 5,
        "two ticks with nothing to do",
    )
    assert world.runs("ticking") == runs
    assert {run.why for run in runs[1:]} == {("schedule",)}
