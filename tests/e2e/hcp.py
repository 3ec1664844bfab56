"""Tasks that HCP Terraform runs in tests, and what people do there."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import httpx

from local.waiting import wait_until
from tests.e2e.world import task

if TYPE_CHECKING:
    from cts.run.model import Run, RunStatus
    from tests.e2e.world import World

TOKEN, PERSON, READER = (f"hcp-{who}-token" for who in ("owner", "person", "reader"))
DRIVER = """
driver "terraform-cloud" {{
  hostname     = "{address}"
  organization = "acme"
  token        = "{token}"
  workspaces {{ prefix = "net-" }}
  required_providers {{
    files = {{ source = "example.com/test/files" }}
  }}
}}
"""
COUNTS = """
variable "services" { type = any }
resource "terraform_data" "one" { input = length(var.services) }
"""
SLOW = """
variable "services" { type = any }
resource "terraform_data" "one" {
  for_each = var.services
  provisioner "local-exec" { command = "sleep 60" }
}
"""
PARTICULAR = """
variable "services" { type = any }
resource "terraform_data" "one" {
  input = length(var.services)
  lifecycle {
    precondition {
      condition     = length(var.services) > 0
      error_message = "there must be an instance"
    }
  }
}
"""
THEIRS = 'resource "terraform_data" "theirs" {}\n'


def files(text: str, modules: dict[str, str]) -> dict[str, str]:
    """A configuration with a task for each module (name: text), which watches the service of its
    name."""
    tasks = "".join(task(name, name, module=f"./modules/{name}") for name in modules)
    sources = {f"modules/{name}/main.tf": module for name, module in modules.items()}
    return {"cts.hcl": text + tasks, **sources}


class Somebody:
    """A person in HCP Terraform."""

    def __init__(self, world: World) -> None:
        self._api = httpx.Client(
            base_url=f"{world.stack.hcp}/api/v2",
            headers={
                "Authorization": f"Bearer {PERSON}",
                "Content-Type": "application/vnd.api+json",
            },
            timeout=30,
        )

    def close(self) -> None:
        self._api.close()

    def get(self, path: str) -> Any:
        return self._api.get(path).raise_for_status().json()["data"]

    def workspace(self, name: str) -> Any:
        return self.get(f"/organizations/acme/workspaces/{name}")

    def creates_workspace(self, name: str, *, auto_apply: bool = False) -> str:
        """Its ID."""
        attributes = {"name": name, "auto-apply": auto_apply}
        return str(self._post("/organizations/acme/workspaces", "workspaces", attributes)["id"])

    def locks(self, workspace: str, action: str = "lock") -> None:
        self._api.post(f"/workspaces/{workspace}/actions/{action}", json={}).raise_for_status()

    def queues(self, workspace: str) -> str:
        """A run of a configuration of their own; its ID."""
        path = f"/workspaces/{workspace}/configuration-versions"
        made = self._post(path, "configuration-versions", {"auto-queue-runs": False})
        httpx.put(made["attributes"]["upload-url"], content=packed(THEIRS)).raise_for_status()
        version = f"/configuration-versions/{made['id']}"
        wait_until(
            lambda: self.get(version)["attributes"]["status"] == "uploaded", 20, "it to be unpacked"
        )
        related = {"workspace": ("workspaces", workspace)}
        related["configuration-version"] = ("configuration-versions", made["id"])
        return str(self._post("/runs", "runs", {"message": "by hand"}, related)["id"])

    def acts(self, run: Run | str, action: str) -> None:
        """On a run of ours, or on that with this ID."""
        where = f"/runs/{run}" if isinstance(run, str) else path(run)
        self._api.post(f"{where}/actions/{action}").raise_for_status()

    def status(self, run: Run | str) -> str:
        where = f"/runs/{run}" if isinstance(run, str) else path(run)
        return str(self.get(where)["attributes"]["status"])

    def _post(
        self,
        path: str,
        kind: str,
        attributes: dict[str, Any],
        related: dict[str, tuple[str, str]] | None = None,
    ) -> Any:
        data: dict[str, Any] = {"type": kind, "attributes": attributes}
        if related:
            data["relationships"] = {
                name: {"data": {"type": type_, "id": id_}} for name, (type_, id_) in related.items()
            }
        reply = self._api.post(path, content=json.dumps({"data": data}))
        return reply.raise_for_status().json()["data"]


def packed(text: str) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        entry = tarfile.TarInfo("main.tf")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
    return whole.getvalue()


def path(run: Run) -> str:
    """Of a run of ours, in their API."""
    return f"/runs/{(run.build or '').rpartition('/')[2]}"


def ended(world: World, name: str, *statuses: RunStatus) -> Run:
    """The task's last run, as soon as it has ended so."""

    def found() -> Run | None:
        run = next(iter(world.runs(name)[::-1]), None)
        return run if run and run.status in statuses else None

    return world.until(found, f"the last run of {name} to be {' or '.join(statuses)}")


def waiting(world: World, name: str, words: str) -> Run:
    """The task's last run, as soon as it waits for this."""

    def found() -> Run | None:
        run = next(iter(world.runs(name)[::-1]), None)
        return run if run and run.end is None and words in (run.waits or "") else None

    return world.until(found, f"the last run of {name} to say that it {words}")
