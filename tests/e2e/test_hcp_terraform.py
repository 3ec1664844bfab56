"""Tasks that HCP Terraform runs: from a change in Consul to an applied state in a workspace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cts.run.model import RunStatus
from cts_cli.client import Emulated
from tests.digging import dug
from tests.e2e.canary import leave, places
from tests.e2e.conftest import running
from tests.e2e.world import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cts.run.model import Run
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
TOKEN, PERSON = "hcp-owner-token", "hcp-person-token"
DEVICE_TOKEN, IN_ENVIRONMENT = "canary-0815-of-a-device", "canary-0815-in-environment"
LEFT = "canary-0815-to-be-found"
CONFIGURATION = """
driver "terraform-cloud" {
  hostname     = "ADDRESS"
  organization = "acme"
  token        = "TOKEN"
  workspaces { prefix = "net-" }
  required_providers {
    files = { source = "example.com/test/files" }
  }
}
terraform_provider "files" {
  device = "canary"
  token  = "DEVICE"
}
task {
  name      = "canary"
  module    = "./modules/canary"
  providers = ["files"]
  buffer_period { enabled = false }
  condition "services" { names = ["canary"] }
  serverless {
    environment { CANARY_PASSWORD = "IN_ENVIRONMENT" }
  }
}
task {
  name   = "approved"
  module = "./modules/approved"
  buffer_period { enabled = false }
  condition "services" { names = ["approved"] }
}
"""
MODULE = """
terraform {
  required_providers {
    files = { source = "example.com/test/files" }
  }
}
variable "services" { type = any }
resource "files_object" "one" {
  for_each = var.services
  name     = each.value.id
  content  = "${each.value.address}:${each.value.port}"
}
"""
APPROVED = """
variable "services" { type = any }
resource "terraform_data" "one" { input = length(var.services) }
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack"), hcp=True) as world:
        _workspace_of_a_person(world)
        world.catalog.register("canary-1", "canary", "10.9.0.1", 80)
        text = CONFIGURATION.replace("ADDRESS", world.stack.hcp).replace("TOKEN", TOKEN)
        text = text.replace("DEVICE", DEVICE_TOKEN).replace("IN_ENVIRONMENT", IN_ENVIRONMENT)
        files = {
            "cts.hcl": text,
            "modules/canary/main.tf": MODULE,
            "modules/approved/main.tf": APPROVED,
        }
        pushed = world.cts("push", str(folder_of(tmp_path_factory.mktemp("pushed"), files)))
        assert pushed.returncode == 0, pushed.stdout + pushed.stderr
        assert TOKEN not in pushed.stdout + pushed.stderr
        yield world


def person(world: World) -> httpx.Client:
    headers = {"Authorization": f"Bearer {PERSON}", "Content-Type": "application/vnd.api+json"}
    return httpx.Client(base_url=f"{world.stack.hcp}/api/v2", headers=headers, timeout=30)


def _workspace_of_a_person(world: World) -> None:
    attributes = {"name": "net-approved", "auto-apply": False}
    body = {"data": {"type": "workspaces", "attributes": attributes}}
    with person(world) as api:
        api.post("/organizations/acme/workspaces", json=body).raise_for_status()


def last(world: World, name: str, *statuses: RunStatus) -> Run | None:
    return next((run for run in world.runs(name)[::-1] if run.status in statuses), None)


def applied(world: World) -> dict[str, str]:
    files = (world.stack.devices / "canary").glob("*.json")
    held = (json.loads(file.read_text()) for file in files)
    return {each["name"]: each["content"] for each in held}


def test_a_change_in_consul_is_applied_in_a_workspace_of_the_task(world: World) -> None:
    first = {"canary-1": "10.9.0.1:80"}
    world.until(lambda: applied(world).items() >= first.items(), "the first run to apply")
    world.catalog.register("canary-2", "canary", "10.9.0.2", 81)
    both = {"canary-1": "10.9.0.1:80", "canary-2": "10.9.0.2:81"}
    world.until(lambda: applied(world).items() >= both.items(), "the change to be applied")
    run = world.until(lambda: last(world, "canary", RunStatus.APPLIED), "the run to be recorded")
    assert run.build is not None
    assert run.build.startswith(f"{world.stack.hcp}/app/acme/workspaces/net-canary/runs/run-")
    with person(world) as api:
        path = "/organizations/acme/workspaces/net-canary"
        workspace = api.get(path).raise_for_status().json()["data"]
        variables = api.get(f"/workspaces/{workspace['id']}/vars").json()["data"]
    assert workspace["attributes"]["source-name"] == "Consul-Terraform-Sync"
    shown = {each["attributes"]["key"]: each["attributes"]["value"] for each in variables}
    assert shown == {"files": None, "CANARY_PASSWORD": None}
    assert "Apply complete!" in world.cts("logs", "canary").stdout


def test_an_approval_is_waited_for_and_shown_with_where(world: World) -> None:
    def waits() -> Run | None:
        return next((run for run in world.runs("approved") if run.waits), None)

    run = world.until(waits, "the run to wait for its approval")
    assert run.waits == f"waits for a decision in HCP Terraform: {run.build}"
    with person(world) as api:
        run_id = (run.build or "").rpartition("/")[2]
        api.post(f"/runs/{run_id}/actions/apply").raise_for_status()
    world.until(lambda: last(world, "approved", RunStatus.APPLIED), "the run to apply")


def test_a_forged_notification_is_refused_and_changes_nothing(world: World) -> None:
    with person(world) as api:
        workspace = api.get("/organizations/acme/workspaces/net-canary").json()["data"]["id"]
        path = f"/workspaces/{workspace}/notification-configurations"
        [made] = api.get(path).raise_for_status().json()["data"]
    before = world.state("canary")
    body: dict[str, Any] = {"run_id": "run-1", "run_message": "(canary-20260101T000000-000000)"}
    with httpx.Client(transport=Emulated(world.stack.endpoint), timeout=60) as client:
        for signature in ("", "0" * 128):
            headers = {"X-TFE-Notification-Signature": signature}
            answer = client.post(made["attributes"]["url"], json=body, headers=headers)
            assert answer.status_code == 401
    assert world.state("canary") == before


def test_no_secret_lies_anywhere(world: World) -> None:
    """Also after a run whose provider shows its token in its error."""
    world.until(lambda: last(world, "canary", RunStatus.APPLIED), "a run to apply")
    (world.stack.devices / "canary" / ".token").write_text("another")
    world.catalog.register("canary-3", "canary", "10.9.0.3", 82)
    failed = world.until(lambda: last(world, "canary", RunStatus.ERRORED), "a run to fail")
    (world.stack.devices / "canary" / ".token").unlink()
    assert failed.end is not None
    assert "refuses the token ***" in (failed.end.error or "")
    left = leave(world, LEFT)
    whole = dug(places(world))
    assert {name for name, text in whole.items() if LEFT in text} == left
    for secret in (TOKEN, DEVICE_TOKEN, IN_ENVIRONMENT):
        assert {name for name, text in whole.items() if secret in text} == set(), secret
