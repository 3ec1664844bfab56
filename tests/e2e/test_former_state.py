"""A state that CTS left in Consul: the task goes on from there, and nothing is created twice."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from cts.run.model import RunStatus
from tests.e2e.world import task

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
KEY = "consul-terraform-sync/terraform-env:left"


@pytest.fixture
def consul(world: World) -> Iterator[httpx.Client]:
    with world.stack.consul_client() as client:
        yield client


def stored(consul: httpx.Client) -> dict[str, Any]:
    body = consul.get(f"/v1/kv/{KEY}", params={"raw": ""}).raise_for_status().content
    state: dict[str, Any] = json.loads(gzip.decompress(body))  # as CTS asks Terraform to write it
    return state


def test_a_task_goes_on_with_the_state_that_cts_left(world: World, consul: httpx.Client) -> None:
    world.catalog.register("left-1", "left-web", "10.7.0.1", 80)
    world.publish({"model.hcl": task("model", "left-web")})
    world.applied_right("model", "left-web")
    # As CTS would have left it: what the same module made for a task of another name.
    text = json.dumps(world.terraform_state("model")).replace("model", "left")
    state = json.loads(text) | {"lineage": str(uuid4())}
    consul.put(f"/v1/kv/{KEY}", content=json.dumps(state).encode()).raise_for_status()

    world.publish({"left.hcl": task("left", "left-web", lane="build")})
    [run] = world.until(
        lambda: [each for each in world.runs("left") if each.status.ended], "task left to run"
    )
    assert run.status is RunStatus.UNCHANGED, world.record(run, "log")
    assert (world.state("left").place, world.terraform_state("left")) == ("consul", None)

    world.catalog.register("left-2", "left-web", "10.7.0.2", 80)
    world.until(lambda: len(world.runs("left")) > 1, "a change to be applied")
    world.until(lambda: world.runs("left")[-1].status.ended, "the change to be applied")
    last = world.runs("left")[-1]
    assert last.end is not None
    assert last.end.counts == {"add": 0, "change": 1, "destroy": 0}
    assert stored(consul)["lineage"] == state["lineage"]
    assert "10.7.0.2" in json.dumps(stored(consul))
    assert world.terraform_state("left") is None
