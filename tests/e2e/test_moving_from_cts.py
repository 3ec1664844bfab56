"""A user moves from CTS by docs/moving-from-cts.md: nothing is created twice, CTS and the stack
never both apply, and the way back works."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from cts.run.model import RunStatus
from local import tools
from local.consul import MANAGER, RULES
from local.tools import PROJECT
from tests.e2e.conftest import running
from tests.e2e.world import RECORD_FILES, folder_of, task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cts.run.model import Run
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
TASK, SERVICE = "firewall", "fw-web"
KEY = f"consul-terraform-sync/terraform-env:{TASK}"
CTS_ROOT = """
terraform {
  required_version = ">= 0.13.0, <= 1.14.3"
  backend "consul" {
    address = "ADDRESS"
    scheme  = "https"
    ca_file = "CA"
    gzip    = true
    path    = "consul-terraform-sync/terraform"
  }
}

variable "services" {
  type = any
}

module "firewall" {
  source   = "./modules/record"
  services = var.services
}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("moving"), secure=True, lane="build") as world:
        yield world


PAGE = (PROJECT / "docs/moving-from-cts.md").read_text()
PERMISSIONS = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)[0]
"""Which the page tells to give to the stack's token."""
FORBIDDEN = 'key_prefix "consul-terraform-sync/" { policy = "deny" }'


def allow(world: World, rules: str) -> None:
    """What the stack's token may do, besides reading the catalog and keys."""
    with world.stack.consul_client() as consul:
        policies = consul.get("/v1/acl/policies").raise_for_status().json()
        [known] = [each["ID"] for each in policies if each["Name"] == "watcher"]
        policy = {"ID": known, "Name": "watcher", "Rules": RULES + rules}
        consul.put(f"/v1/acl/policy/{known}", json=policy).raise_for_status()


class Cts:
    """What the former CTS does with Terraform, in the working folder of its task."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder_of(folder, RECORD_FILES)
        address = world.stack.consul.removeprefix("https://")
        ca = str(world.stack.folder / "consul/consul-agent-ca.pem")
        root = CTS_ROOT.replace("ADDRESS", address).replace('"CA"', json.dumps(ca))
        (folder / "main.tf").write_text(root)
        self.run("init", "-force-copy", "-input=false")
        self.run("workspace", "new", TASK)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(tools.terraform()), arguments[0], *arguments[1:], "-no-color"]
        if arguments[0] == "workspace":
            command = [*command[:3], "-no-color", arguments[2]]
        token = {"CONSUL_HTTP_TOKEN": MANAGER}
        env = {**self.world.stack.env, "TF_IN_AUTOMATION": "1", **token}
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def applies(self) -> str:
        services = {"services": self.world.expected(SERVICE)}
        (self.folder / "services.auto.tfvars.json").write_text(json.dumps(services))
        return self.run("apply", "-auto-approve", "-input=false").stdout


class Walk:
    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.cts = Cts(world, folder / "working")
        self.files = folder_of(folder / "config", {**RECORD_FILES, "cts.hcl": task(TASK, SERVICE)})

    def types(self, *words: str) -> str:
        done = self.world.cts(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def register(self, number: int) -> None:
        self.world.catalog.register(f"fw-{number}", SERVICE, f"10.9.0.{number}", 80)

    @property
    def in_consul(self) -> dict[str, Any]:
        with self.world.stack.consul_client() as client:
            answer = client.get(f"/v1/kv/{KEY}", params={"raw": ""}).raise_for_status()
        state: dict[str, Any] = json.loads(gzip.decompress(answer.content))
        return state

    def applied(self, count: int) -> Run:
        """The run that is the count-th that may have applied, once it has ended."""

        def found() -> Run | None:
            runs = [run for run in self.world.runs(TASK) if not {"inspect", "move"} & {*run.why}]
            assert len(runs) <= count
            return runs[-1] if len(runs) == count and runs[-1].status.ended else None

        return self.world.until(found, f"run {count} of {TASK} to end")

    def counts(self, count: int) -> dict[str, int]:
        run = self.applied(count)
        assert run.end is not None
        return dict(run.end.counts or {})


def made(state: dict[str, Any]) -> str:
    """What the provider calls the one object that the module makes."""
    [resource] = state["resources"]
    return str(resource["instances"][0]["attributes"]["id"])


CHANGED = {"add": 0, "change": 1, "destroy": 0}


def test_a_user_moves_from_cts_and_back(world: World, tmp_path: Path) -> None:
    walk = Walk(world, tmp_path)
    walk.register(1)
    assert "1 added" in walk.cts.applies()
    first = made(walk.in_consul)

    # 1. Look. 2. Adopt, while CTS still runs. The token gets its permissions too late.
    told = walk.types("import", str(walk.files))
    assert "cts push --adopt" in told
    allow(world, FORBIDDEN)
    with ThreadPoolExecutor(1) as other_terminal:
        pushing = other_terminal.submit(walk.types, "push", "--adopt", str(walk.files))
        held = f"whether CTS has left a state at {KEY} in Consul can't be told"
        world.until(lambda: held in walk.types("status", "--json"), "the reason to be told")
        assert world.runs(TASK) == []
        allow(world, PERMISSIONS)
        told = pushing.result()
    assert "No changes" in told
    assert f"cts release {TASK}" in told
    walk.register(2)
    assert "1 changed" in walk.cts.applies()
    world.until(lambda: world.state(TASK).wanted, "the change to be seen")
    assert {run.status for run in world.runs(TASK)} == {RunStatus.PLANNED}

    # 3. CTS is stopped. 4. Release.
    assert "No changes" in walk.types("inspect", TASK, "--wait")
    walk.types("release", TASK)
    assert walk.counts(1) == {"add": 0, "change": 0, "destroy": 0}
    walk.register(3)
    assert walk.counts(2) == CHANGED
    assert "10.9.0.3" in json.dumps(walk.in_consul)
    assert made(walk.in_consul) == first

    # 5. The state moves to the bucket.
    left = walk.in_consul
    walk.types("state", "move", TASK, "--wait")
    assert (world.terraform_state(TASK), walk.in_consul) == (left, left)
    assert "No changes" in walk.types("inspect", TASK, "--wait")
    walk.register(4)
    assert walk.counts(3) == CHANGED
    state = world.terraform_state(TASK) or {}
    assert (made(state), state["lineage"]) == (first, left["lineage"])
    assert walk.in_consul == left

    # The way back: hold, move back, start CTS.
    walk.types("hold", TASK, "--why", "back to CTS")
    walk.types("state", "move", TASK, "--back", "--wait")
    assert "0 added, 0 changed, 0 destroyed" in walk.cts.applies()
    walk.register(5)
    assert "1 changed" in walk.cts.applies()
    assert made(walk.in_consul) == first
    world.until(lambda: world.state(TASK).wanted, "the change to be seen")
    assert len([run for run in world.runs(TASK) if "change" in run.why]) == 3
