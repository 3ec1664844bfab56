"""Tasks that HCP Terraform runs: from a change in Consul to an applied state in a workspace, and
what people do there in between."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cts.run.model import RunStatus
from cts_cli.client import Emulated
from tests.digging import dug
from tests.e2e import hcp
from tests.e2e.canary import leave, places
from tests.e2e.conftest import running
from tests.e2e.hcp import Somebody, ended, waiting
from tests.e2e.world import folder_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cts.run.model import Run
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
DEVICE_TOKEN, IN_ENVIRONMENT = "canary-0815-of-a-device", "canary-0815-in-environment"
LEFT = "canary-0815-to-be-found"
CANARY = f"""
terraform_provider "files" {{
  device = "canary"
  token  = "{DEVICE_TOKEN}"
}}
task {{
  name      = "canary"
  module    = "./modules/canary"
  providers = ["files"]
  buffer_period {{ enabled = false }}
  condition "services" {{ names = ["canary"] }}
  serverless {{
    environment {{ CANARY_PASSWORD = "{IN_ENVIRONMENT}" }}
  }}
}}
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
FIRST = 600.0
"""Seconds that the first runs may take, which begin all at once on cold functions."""
PREPARED = ("approved", "discarded", "second", "locked")
"""Somebody has made their workspaces, in which each run needs an approval."""
MODULES = {
    **dict.fromkeys(PREPARED, hcp.COUNTS),
    "cancelled": hcp.SLOW,
    "particular": hcp.PARTICULAR,
    "forbidden": hcp.COUNTS,
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, str]:
    """Task -> what somebody has in its workspace: a run that comes first, or a lock."""
    return {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, theirs: dict[str, str]) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack"), hcp=True, denials=True) as world:
        somebody = Somebody(world)
        made = {name: somebody.creates_workspace(f"net-{name}") for name in PREPARED}
        theirs["second"] = somebody.queues(made["second"])
        theirs["locked"] = made["locked"]
        somebody.locks(made["locked"])
        somebody.close()
        world.catalog.register("canary-1", "canary", "10.9.0.1", 80)
        text = hcp.DRIVER.format(address=world.stack.hcp, token=hcp.TOKEN) + CANARY
        files = {**hcp.files(text, MODULES), "modules/canary/main.tf": MODULE}
        pushed = world.cts("push", str(folder_of(tmp_path_factory.mktemp("pushed"), files)))
        assert pushed.returncode == 0, pushed.stdout + pushed.stderr
        assert hcp.TOKEN not in pushed.stdout + pushed.stderr
        for name in ("canary", *MODULES):
            began = partial(world.runs, name)
            world.until(began, f"the first run of {name} to begin", FIRST)
        yield world
        assert [call for call in world.denied() if not is_of_redeployment(call)] == []


def is_of_redeployment(call: Mapping[str, Any]) -> bool:
    """While the stack gets another `HcpSecretArn`, a function may still read the former secret,
    or already the new one, with the rights to the other. The next sweep or retry reads it again."""
    asked = (call["caller"], call["action"])
    return asked in (("Runner", "GetSecretValue"), ("Tracker", "GetSecretValue"))


@pytest.fixture
def somebody(world: World) -> Iterator[Somebody]:
    made = Somebody(world)
    yield made
    made.close()


def applied(world: World) -> dict[str, str]:
    files = (world.stack.devices / "canary").glob("*.json")
    held = (json.loads(file.read_text()) for file in files)
    return {each["name"]: each["content"] for each in held}


def status(world: World) -> str:
    return " ".join(world.cts("status").stdout.split())


def test_a_change_in_consul_is_applied_in_a_workspace_of_the_task(
    world: World, somebody: Somebody
) -> None:
    first = {"canary-1": "10.9.0.1:80"}
    world.until(lambda: applied(world).items() >= first.items(), "the first run to apply")
    world.catalog.register("canary-2", "canary", "10.9.0.2", 81)
    both = {"canary-1": "10.9.0.1:80", "canary-2": "10.9.0.2:81"}
    world.until(lambda: applied(world).items() >= both.items(), "the change to be applied")
    run = ended(world, "canary", RunStatus.APPLIED)
    assert run.build is not None
    assert run.build.startswith(f"{world.stack.hcp}/app/acme/workspaces/net-canary/runs/run-")
    assert "service canary: " in somebody.get(hcp.path(run))["attributes"]["message"]
    workspace = somebody.workspace("net-canary")
    variables = somebody.get(f"/workspaces/{workspace['id']}/vars")
    assert workspace["attributes"]["source-name"] == "Consul-Terraform-Sync"
    shown = {each["attributes"]["key"]: each["attributes"]["value"] for each in variables}
    assert shown == {"files": None, "CANARY_PASSWORD": None}
    assert "Apply complete!" in world.cts("logs", "canary").stdout


# ---- what people do in HCP Terraform ------------------------------------------------------------


def test_an_approval_is_waited_for_announced_and_shown_with_where(
    world: World, somebody: Somebody
) -> None:
    run = waiting(world, "approved", "waits for a decision in HCP Terraform")
    assert run.waits == f"waits for a decision in HCP Terraform: {run.build}"
    assert f"approved: needs a person: {run.waits}" in status(world)
    told, *_ = world.until(lambda: world.events("ApprovalNeeded", task="approved"), "the event")
    assert told["detail"]["url"] == run.build
    somebody.acts(run, "apply")
    assert ended(world, "approved", RunStatus.APPLIED).id == run.id


def test_what_is_discarded_there_is_not_tried_again_and_runs_when_asked_to(
    world: World, somebody: Somebody
) -> None:
    run = waiting(world, "discarded", "waits for a decision")
    somebody.acts(run, "discard")
    over = ended(world, "discarded", RunStatus.ERRORED)
    assert over.end is not None
    assert over.end.error == f"it was discarded in HCP Terraform: see {run.build}"
    assert (over.retry_at, over.end.apply_began) == (None, False)
    assert "discarded: runs again once service discarded changes" in status(world)
    asked = world.cts("run", "discarded")
    assert asked.returncode == 0, asked.stderr
    again = waiting(world, "discarded", "waits for a decision")
    assert again.id != run.id
    somebody.acts(again, "apply")
    ended(world, "discarded", RunStatus.APPLIED)


def test_what_is_cancelled_there_says_so(world: World, somebody: Somebody) -> None:
    ended(world, "cancelled", RunStatus.UNCHANGED)
    world.catalog.register("cancelled-1", "cancelled", "10.9.3.1", 80)

    def applies() -> Run | None:
        run = world.runs("cancelled")[-1]
        is_applying = run.build and somebody.status(run) == "applying"
        return run if is_applying else None

    somebody.acts(world.until(applies, "the apply to begin"), "cancel")
    over = ended(world, "cancelled", RunStatus.ERRORED)
    assert over.end is not None
    assert over.end.error == f"it was cancelled in HCP Terraform: see {over.build}"
    assert (over.retry_at, over.end.apply_began) == (None, True)
    assert "a person or a policy has stopped it; `cts run` starts a new one" in (over.gave_up or "")


def test_what_the_module_says_is_wrong_is_shown_and_tried_again(world: World) -> None:
    def failed() -> Run | None:
        return next((run for run in world.runs("particular") if run.end), None)

    over = world.until(failed, "its first run to end")
    assert over.end is not None
    assert "Error: Resource precondition failed" in (over.end.error or "")
    assert over.retry_at is not None
    assert "particular: Error: Resource precondition failed: there must be an instance" in status(
        world
    )
    world.catalog.register("particular-1", "particular", "10.9.1.1", 80)
    ended(world, "particular", RunStatus.APPLIED)


def test_a_run_of_somebody_else_that_comes_first_is_named_and_left_alone(
    world: World, somebody: Somebody, theirs: dict[str, str]
) -> None:
    run = waiting(world, "second", f"waits for run {theirs['second']}")
    assert run.waits == (
        f"waits for run {theirs['second']}, which comes before it in the workspace net-second"
    )
    assert f"second: needs a person: {run.waits}" in status(world)
    assert somebody.status(theirs["second"]) == "planned"
    somebody.acts(theirs["second"], "discard")
    approving = waiting(world, "second", "waits for a decision")
    assert approving.id == run.id
    somebody.acts(approving, "apply")
    ended(world, "second", RunStatus.APPLIED)


def test_a_locked_workspace_is_named_with_who_has_locked_it(
    world: World, somebody: Somebody, theirs: dict[str, str]
) -> None:
    run = waiting(world, "locked", "waits for the workspace")
    assert run.waits == (
        f"waits for the workspace net-locked, which user-person has locked: {run.build}"
    )
    assert f"locked: needs a person: {run.waits}" in status(world)
    assert world.events("ApprovalNeeded", task="locked") == []
    somebody.locks(theirs["locked"], "unlock")
    somebody.acts(waiting(world, "locked", "waits for a decision"), "apply")
    ended(world, "locked", RunStatus.APPLIED)


def test_a_token_that_may_not_do_it_says_so_until_another_one_is_named(world: World) -> None:
    ended(world, "forbidden", RunStatus.APPLIED)
    stack, secrets = world.stack, world.client("secretsmanager")
    deployed = {"ConsulAddress": stack.consul, "HcpAddress": stack.hcp, "HcpNotifications": "yes"}
    weak = secrets.create_secret(Name="weak-token", SecretString=hcp.READER)["ARN"]
    stack.redeploy({**deployed, "HcpSecretArn": weak})
    try:
        world.catalog.register("forbidden-1", "forbidden", "10.9.2.1", 80)
        over = ended(world, "forbidden", RunStatus.ERRORED)
    finally:
        stack.redeploy({**deployed, "HcpSecretArn": ""})
    assert over.end is not None
    assert "in the workspace net-forbidden" in (over.end.error or "")
    assert "the token is not allowed to do this" in (over.end.error or "")
    assert world.cts("retry", "forbidden").returncode == 0
    ended(world, "forbidden", RunStatus.APPLIED)


# ---- what nobody must do ------------------------------------------------------------------------


def test_a_forged_notification_is_refused_and_changes_nothing(
    world: World, somebody: Somebody
) -> None:
    ended(world, "canary", RunStatus.APPLIED, RunStatus.ERRORED)
    workspace = somebody.workspace("net-canary")["id"]
    [made] = somebody.get(f"/workspaces/{workspace}/notification-configurations")
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
    ended(world, "canary", RunStatus.APPLIED)
    (world.stack.devices / "canary" / ".token").write_text("another")
    world.catalog.register("canary-3", "canary", "10.9.0.3", 82)
    failed = ended(world, "canary", RunStatus.ERRORED)
    (world.stack.devices / "canary" / ".token").unlink()
    assert failed.end is not None
    assert "refuses the token ***" in (failed.end.error or "")
    left = leave(world, LEFT)
    whole = dug(places(world))
    assert {name for name, text in whole.items() if LEFT in text} == left
    for secret in (hcp.TOKEN, DEVICE_TOKEN, IN_ENVIRONMENT):
        assert {name for name, text in whole.items() if secret in text} == set(), secret
