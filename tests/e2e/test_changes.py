"""A change in Consul becomes an applied run: one each, with what Consul says.

Here over HTTPS, with ACLs and a private authority; the other modules' stacks have a plain Consul.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import running
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack"), secure=True) as world:
        yield world


ODD = 'ü "b"\n%{c}'


def test_each_kind_of_change_is_one_run_with_what_consul_says(world: World) -> None:
    register, at = world.catalog.register, ("each-2", "each", "10.1.0.2")
    register("each-1", "each", "10.1.0.1", 8000)
    world.publish({"each.hcl": task("each", "each")})
    assert len(world.applied_right("each", "each")) == 1
    changes: list[Callable[[], None]] = [
        lambda: register(*at, 80),
        lambda: register(*at, 80, Tags=["green", "blue", "${x}"]),
        lambda: register(*at, 80, Tags=["green", "blue", "${x}"], Meta={"note": ODD}),
        lambda: register(*at, 81, Tags=["green", "blue", "${x}"], Meta={"note": ODD}),
        lambda: register(*at, 81, status="critical"),
        lambda: register(*at, 81),
        lambda: world.catalog.deregister("each-2"),
    ]
    for count, change in enumerate(changes, start=2):
        before = world.expected("each")
        change()
        expected = world.expected("each")
        assert before != expected
        runs = world.applied_right("each", "each")
        assert world.inputs(runs[-1]) == expected
        assert len(runs) == count


def test_a_removed_node_takes_its_instances_along(world: World) -> None:
    world.catalog.register("gone-1", "gone", "10.2.0.1", 80)
    world.catalog.register("gone-2", "gone", "10.2.0.2", 80)
    world.publish({"gone.hcl": task("gone", "gone")})
    world.applied_right("gone", "gone")
    world.catalog.remove_node("node-gone-2")
    runs = world.applied_right("gone", "gone")
    assert [row["id"] for row in world.inputs(runs[-1]).values()] == ["gone-1"]
    assert len(runs) in (2, 3)


def test_a_burst_within_the_default_buffer_period_is_one_run(world: World) -> None:
    world.catalog.register("burst-0", "burst", "10.3.0.100", 80)
    world.publish({"burst.hcl": task("burst", "burst", buffer="")})
    world.applied_right("burst", "burst")
    for number in range(1, 11):
        world.catalog.register(f"burst-{number}", "burst", f"10.3.0.{number}", 80)
        world.catalog.register(f"burst-{number}", "burst", f"10.3.0.{number}", 80 + number)
    world.catalog.deregister("burst-0")
    runs = world.applied_right("burst", "burst")
    assert len(runs) == 2
    assert {row["port"] for row in world.inputs(runs[-1]).values()} == set(range(81, 91))


def test_a_change_runs_no_task_that_watches_another_service(world: World) -> None:
    world.catalog.register("mine-1", "mine", "10.4.0.1", 80)
    world.catalog.register("other-1", "other", "10.4.0.2", 80)
    world.publish({"two.hcl": task("mine", "mine") + task("other", "other")})
    for name in ("mine", "other"):
        world.applied_right(name, name)
    before = world.mark()
    for count in (2, 3, 4):
        world.catalog.register("mine-1", "mine", "10.4.0.1", 80 + count)
        assert len(world.applied_right("mine", "mine")) == count
    assert len(world.runs("other")) == 1
    assert world.events("TaskTriggered", before, task="other") == []


def test_a_regular_expression_sees_new_services_and_their_health(world: World) -> None:
    world.catalog.register("rx-web-1", "rx-web", "10.5.0.1", 80)
    world.publish({"rx.hcl": task("rx", regexp="^rx-")})
    assert len(world.applied_right("rx", "rx-web")) == 1
    world.catalog.register("rx-api-1", "rx-api", "10.5.0.2", 80)
    runs = world.applied_right("rx", "rx-web", "rx-api")
    assert set(world.inputs(runs[-1])) == {
        "rx-api-1.node-rx-api-1.dc1",
        "rx-web-1.node-rx-web-1.dc1",
    }
    world.catalog.register("rx-api-1", "rx-api", "10.5.0.2", 80, status="critical")
    runs = world.applied_right("rx", "rx-web", "rx-api")
    assert set(world.inputs(runs[-1])) == {"rx-web-1.node-rx-web-1.dc1"}
    world.catalog.register("not-rx-1", "other-rx", "10.5.0.3", 80)
    world.catalog.register("rx-web-1", "rx-web", "10.5.0.1", 81)
    assert len(world.applied_right("rx", "rx-web")) == len(runs) + 1


def test_a_task_runs_for_its_events_alone_and_then_gets_all(world: World) -> None:
    every, some = task("every", "ev"), task("some", "ev")
    added = some.rstrip().removesuffix("}") + 'serverless { events = ["added"] }\n}\n'
    world.catalog.register("ev-1", "ev", "10.6.0.1", 80)
    world.publish({"ev.hcl": every + added})
    for name in ("every", "some"):
        assert len(world.applied_right(name, "ev")) == 1
    world.catalog.register("ev-1", "ev", "10.6.0.1", 81)
    assert len(world.applied_right("every", "ev")) == 2
    world.catalog.register("ev-2", "ev", "10.6.0.2", 80)
    runs = world.applied_right("some", "ev")
    assert {row["port"] for row in world.inputs(runs[-1]).values()} == {80, 81}
    world.catalog.deregister("ev-2")
    assert len(world.applied_right("every", "ev")) == 4
    assert (len(world.runs("some")), world.state("some").wanted) == (2, {})


MESH = {
    "mesh.hcl": """
task {
  name   = "mesh"
  module = "./modules/mesh"
  buffer_period { enabled = false }
  condition "nodes" {
    datacenters = ["dc1"]
    node_meta { mesh = "yes" }
  }
  module_input "intentions" { filter = "DestinationName == \\"mesh-db\\"" }
}
""",
    "modules/mesh/main.tf": """
variable "services" {}
variable "nodes" {}
variable "intentions" {}
resource "terraform_data" "mesh" {
  input = { nodes = var.nodes, intentions = var.intentions }
}
""",
}
HOSTILE = 'a "b" ${c} %{d}\\\n'


def test_nodes_run_a_task_and_intentions_are_fed_to_it(world: World) -> None:
    def register(name: str, address: str) -> None:
        meta = {"mesh": "yes", "note": HOSTILE}
        body = {"Node": name, "Address": address, "NodeMeta": meta}
        with world.stack.consul_client() as consul:
            consul.put("/v1/catalog/register", json=body).raise_for_status()

    def intend(source: str) -> None:
        body = {"SourceName": source, "DestinationName": "mesh-db", "Action": "allow"}
        named = {**body, "Description": HOSTILE}
        with world.stack.consul_client() as consul:
            consul.post("/v1/connect/intentions", json=named).raise_for_status()

    def applied() -> tuple[dict[str, str], list[str]]:
        """The nodes' addresses and the intentions' keys, as Terraform holds them."""
        held = world.applied("mesh") or {"nodes": {}, "intentions": {}}
        texts = [each["meta"]["note"] for each in held["nodes"].values()]
        texts += [each["description"] for each in held["intentions"].values()]
        assert {*texts} <= {HOSTILE}
        nodes = {name: each["address"] for name, each in held["nodes"].items()}
        return nodes, sorted(held["intentions"])

    register("mesh-1", "10.6.0.1")
    intend("mesh-web")
    world.publish(MESH)
    one = ({"mesh-1.dc1": "10.6.0.1"}, ["mesh-web => mesh-db"])
    world.until(lambda: applied() == one, "the first node and intention to be applied")
    intend("mesh-api")  # a module input alone runs nothing
    register("mesh-1", "10.6.0.9")
    register("mesh-2", "10.6.0.2")
    two = {"mesh-1.dc1": "10.6.0.9", "mesh-2.dc1": "10.6.0.2"}
    world.until(lambda: applied()[0] == two, "both nodes to be applied")
    world.until(lambda: not world.state("mesh").wanted, "the task to rest")
    shown = world.cts("runs", "show", "mesh")
    assert shown.returncode == 0, shown.stderr
    assert "mesh-2" in shown.stdout
    assert HOSTILE not in shown.stdout
