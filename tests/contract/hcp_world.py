"""A system whose driver is the one for HCP Terraform, on the local stack's test server."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import httpx

from cts.adapters.hcp_api import HcpApi, Pace
from cts.adapters.hcp_notifications import HcpNotifications
from cts.adapters.hcp_secrets import HcpSecrets
from cts.adapters.hcp_terraform import HcpTerraform
from cts.conditions.services import ServicesCondition
from cts.config.bundle import archive
from cts.generation import TaskEntry
from cts.terraform.archive import content_digest
from cts.terraform.definition import Definition, Module
from cts.workflow.track import NEWS_AFTER
from local.hcp.server import HcpServer
from local.waiting import wait_until
from tests.unit.system import System

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cts.run.model import Run

MODULE = """
variable "services" { type = any }
resource "terraform_data" "one" {
  for_each = var.services
  input    = each.value.port
}
"""
OWNER, PERSON, READER = (f"hcp-{who}-token" for who in ("owner", "person", "reader"))
PATIENCE = 60.0


class FixedToken:
    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self) -> str:
        return self.token

    def forget(self) -> None:
        """It stays what it is."""


class InProcess(httpx.BaseTransport):
    """To a server of this process, without HTTP: for tests with thousands of requests."""

    def __init__(self, server: HcpServer) -> None:
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith(self._server.address)
        target = request.url.raw_path.decode()
        status, headers, content = self._server.answer(
            request.method, target, request.headers, request.read()
        )
        return httpx.Response(status, headers=headers, content=content)


class HcpWorld(System):
    """`http`: how the driver reaches the server · `api`: a person's client, without any faults.
    `longest`: seconds that the driver really sleeps, at most."""

    def __init__(
        self,
        server: HcpServer,
        transport: httpx.BaseTransport | None = None,
        notified_at: str = "",
        longest: float = 1.1,
    ) -> None:
        super().__init__()
        self.server, self.longest = server, longest
        self.token = FixedToken(OWNER)
        self.http = httpx.Client(transport=transport, timeout=5.0, verify=False)
        self.slept: list[float] = []
        self.notified_at = notified_at
        self.drivers["terraform-cloud"] = self.driver_of(self.http)
        self.api = httpx.Client(
            base_url=f"{server.address}/api/v2",
            verify=False,  # it is plain HTTP, and the certificates take time to read
            headers={
                "Authorization": f"Bearer {PERSON}",
                "Content-Type": "application/vnd.api+json",
            },
        )

    def driver_of(self, http: httpx.Client) -> HcpTerraform:
        """That of a function that has just started."""
        pace, address = Pace(), self.server.address
        return HcpTerraform(
            address,
            lambda: HcpApi(http, address, self.token, self.sleep, pace),
            HcpSecrets(self.sessions),
            files=self.bucket,
            uploads=self.bucket,
            now=self.clock,
            sleep=self.sleep,
            notifications=HcpNotifications(self.notified_at, self.token),
        )

    @property
    def cloud(self) -> dict[str, str]:
        """Where tasks are executed."""
        return {"hostname": self.server.address, "organization": "acme", "workspace": "net-web"}

    def close(self) -> None:
        self.http.close()
        self.api.close()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        time.sleep(min(seconds, self.longest))

    def cloud_task(
        self, module: str = MODULE, environment: Mapping[str, str] | None = None, **cloud: Any
    ) -> None:
        files = {"main.tf": module.encode()}
        digest = content_digest(files)
        self.bucket.put_compiled([], {digest: archive(files)})
        condition = ServicesCondition(("web",))
        definition = Definition(
            "web",
            Module("./m", digest=digest),
            condition,
            cloud={**self.cloud, **cloud},
            environment=environment or {},
        )
        self.define(definition)

    def define(self, definition: Definition, description: str = "") -> None:
        self.bucket.put_definition(definition)
        self.tasks[definition.task] = TaskEntry(
            definition.digest,
            definition.condition,
            driver="terraform-cloud",
            workspace=definition.workspace,
            description=description,
        )
        self.publish()

    # ---- what is asked of the server ------------------------------------------------------------

    def get(self, path: str) -> Any:
        reply = self.api.get(path)
        reply.raise_for_status()
        return reply.json()["data"]

    def needs_approval(self) -> None:
        """Someone has made the workspace: no run is applied by itself."""
        attributes = {"name": "net-web", "auto-apply": False}
        body = {"data": {"type": "workspaces", "attributes": attributes}}
        self.api.post("/organizations/acme/workspaces", json=body).raise_for_status()

    def act(self, run: str, action: str) -> None:
        self.api.post(f"/runs/{run}/actions/{action}").raise_for_status()

    @property
    def workspace(self) -> Any:
        return self.get("/organizations/acme/workspaces/net-web")

    def runs(self) -> list[Any]:
        """In the workspace, newest first; past the limit for lists."""
        found = self.server.store.named("acme", "net-web")
        listed = self.server.store.runs_of(found.id) if found else []
        return listed[::-1]

    def applied(self) -> dict[str, Any]:
        """What the state in the workspace holds: the input of each object by its key."""
        found = self.server.store.named("acme", "net-web")
        assert found
        resources = json.loads(found.state.read_text())["resources"]
        return {
            each.get("index_key"): each["attributes"]["input"]["value"]
            for resource in resources
            for each in resource["instances"]
        }

    def reaches(self, *statuses: str) -> str:
        """Waits until the newest run has one of them; its ID."""

        def newest() -> str:
            found = self.runs()
            return found[0].id if found and found[0].status in statuses else ""

        return wait_until(newest, PATIENCE, f"a run that is {' or '.join(statuses)}")

    def applies_so_far(self, step: str) -> str:
        """Waits until Terraform says this in the log of the newest run's apply; the run's ID."""

        def newest() -> str:
            found = self.runs()
            log = found[0].apply.log if found else None
            return found[0].id if log and log.exists() and step in log.read_text() else ""

        return wait_until(newest, PATIENCE, f"an apply that says '{step}'")

    def swept(self) -> Run:
        """The task's last run, after a sweep."""
        self.clock.now += NEWS_AFTER
        self.sweep()
        return self.table.runs("web", 1)[0]


def server(folder: Path, env: Mapping[str, str] | None = None) -> HcpServer:
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CLI_CONFIG_FILE": os.devnull}
    return HcpServer(folder, {**given, "CHECKPOINT_DISABLE": "1", **(env or {})})
