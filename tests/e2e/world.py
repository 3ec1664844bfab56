"""What end-to-end tests do with a deployed local stack: push, change Consul, wait, look."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.table import Table
from cts.config.bundle import archive
from local.demo.catalog import Catalog
from local.tools import PROJECT
from local.waiting import wait_until
from tests.e2e import commands
from tests.e2e.records import Records
from tests.e2e.services import Services, expected, fed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cts.run.model import Run
    from cts.run.state import TaskState
    from local.stack import Stack

Found = TypeVar("Found")

PATIENCE = 180.0
"""Seconds after which a test gives up waiting for a run on a busy machine."""
EVERY = 1.0
"""Seconds between two looks at a condition, which take the emulator time."""
SELDOM = 9.0
"""The same for looks that take a command, which asks much more."""
TRACKER_EVERY = 8.0
POLLER_EVERY = 16.0
RECORD = "./modules/record"
"""A module that keeps its variable `services`, all of it, in its Terraform state."""
RECORD_FILES = {
    "modules/record/main.tf": """
variable "services" {
  type = map(object({
    id      = string
    name    = string
    kind    = string
    address = string
    port    = number
    meta    = map(string)
    tags    = list(string)

    namespace = string
    status    = string

    node                  = string
    node_id               = string
    node_address          = string
    node_datacenter       = string
    node_tagged_addresses = map(string)
    node_meta             = map(string)
    cts_user_defined_meta = map(string)
  }))
}

resource "terraform_data" "services" {
  input = var.services
}
"""
}


def task(
    name: str,
    *services: str,
    regexp: str | None = None,
    module: str = RECORD,
    buffer: str = "enabled = false",
    enabled: bool = True,
    lane: str = "",
) -> str:
    """A task block. `buffer`: what its `buffer_period` says; "" for the default one. `lane`: ""
    for that of the world."""
    condition = f'regexp = "{regexp}"' if regexp is not None else f"names = {json.dumps(services)}"
    period = f"buffer_period {{ {buffer} }}" if buffer else ""
    return f"""
task {{
  name    = "{name}"
  module  = "{module}"
  enabled = {json.dumps(enabled)}
  {period}
  {f'serverless {{ lane = "{lane}" }}' if lane else ""}
  condition "services" {{
    {condition}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a push. `problems`: empty if it was published."""

    version: str
    """The version id of the pushed object."""
    number: int | None
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def published(self) -> bool:
        return not self.problems


class World(Records):
    """A stack with a catalog, a configuration that tests add to, and a ticker.

    Tests may share a World: each uses services and tasks with names of its own.
    """

    def __init__(self, stack: Stack, lane: str = "warm") -> None:
        """`lane`: of tasks that name none."""
        super().__init__(stack)
        self._always = {**RECORD_FILES, "lane.hcl": f'serverless {{ lane = "{lane}" }}'}
        self.catalog = Catalog(stack.consul_client())
        self._clients: dict[str, Any] = {}
        self.table = Table(self.client("dynamodb"), stack.outputs["Table"])
        self._s3 = self.client("s3")
        self._files: dict[str, str] = {}
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def client(self, service: str) -> Any:
        """A boto3 client with all rights, open as long as the world."""
        if service not in self._clients:
            self._clients[service] = self.stack.client(service)
        return self._clients[service]

    def close(self) -> None:
        """End the ticker and all connections."""
        self.stop_ticking()
        self.catalog.close()
        for client in self._clients.values():
            client.close()

    # ---- time ---------------------------------------------------------------------------

    def start_ticking(self) -> None:
        """Fire the tracker's schedule every TRACKER_EVERY seconds and the poller's every
        POLLER_EVERY, so that no test waits for a minute to pass."""
        self._stop.clear()
        self._ticker = threading.Thread(target=self._tick_on, daemon=True)
        self._ticker.start()

    def stop_ticking(self) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join()

    def _tick_on(self) -> None:
        poller_in = POLLER_EVERY
        while not self._stop.wait(TRACKER_EVERY):
            self.stack.fire("Tracker")
            poller_in -= TRACKER_EVERY
            if poller_in <= 0:
                self.stack.fire("Poller")
                poller_in = POLLER_EVERY

    # ---- configuration --------------------------------------------------------------------

    def publish(self, files: Mapping[str, str]) -> Answer:
        """Add files to those pushed before (same name: replaced), push all, and wait until they
        are published. The module `record` is always among them. Rejected: an AssertionError."""
        whole = {**self.files, **files}
        answer = self.answer(self.upload(whole))
        assert answer.published, answer.problems
        self._files = whole
        return answer

    @property
    def files(self) -> dict[str, str]:
        """All that was pushed and published."""
        return {**self._always, **self._files}

    def upload(self, files: Mapping[str, str]) -> str:
        """Put exactly these files as the bundle; returns the object's version."""
        body = archive({name: text.encode() for name, text in files.items()})
        put = self._s3.put_object(Bucket=self.work_bucket, Key=keys.BUNDLE, Body=body)
        version: str = put["VersionId"]
        return version

    def answer(self, version: str, seconds: float = PATIENCE) -> Answer:
        """Wait until the push with this version was published or rejected."""
        return self.until(lambda: self._answer(version), f"an answer to push {version}", seconds)

    def _answer(self, version: str) -> Answer | None:
        current, rejected = self.table.current(), self.table.rejected()
        if current is not None and version in current.sources.values():
            return Answer(version, current.number)
        if rejected is not None and version in rejected.sources.values():
            return Answer(version, None, rejected.problems)
        return None

    def cts(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the `cts` command against the stack, in its own process, output as text."""
        env = {**self.stack.env, "COLUMNS": "200", **env}
        return commands.run(arguments, env, PROJECT, seconds=300)

    # ---- runs -------------------------------------------------------------------------------

    def runs(self, name: str) -> list[Run]:
        """All runs of a task as the table has them, oldest first."""
        return self.table.runs(name, 1000)[::-1]

    def state(self, name: str) -> TaskState:
        return self.table.state(name)

    def applied_right(self, name: str, *services: str, seconds: float = PATIENCE) -> list[Run]:
        """The invariant, seen from outside: wait until the task is at rest, its last run was a
        success, and what Terraform holds (module `record`) is what Consul says of these services.
        Returns all its runs, oldest first."""

        def right() -> list[Run]:
            runs = self.runs(name)
            resting = runs and all(run.status.ended for run in runs) and self._rests(name)
            if not resting or not runs[-1].status.succeeded:
                return []
            return runs if self.applied(name) == self.expected(*services) else []

        return self.until(right, f"task {name} to have applied what Consul says", seconds)

    def _rests(self, name: str) -> bool:
        state = self.state(name)
        return state.done is not None and not (state.wanted or state.running or state.unannounced)

    def inputs(self, run: Run) -> Services:
        """The variable `services` in the terraform.tfvars of the run's archive."""
        body = self.object(keys.run_object(run.task, run.id, "archive.zip"))
        assert body is not None, f"run {run.id} has no archive"
        return fed(body)

    def applied(self, name: str) -> Services | None:
        """The services in the Terraform state of a task with module `record`; None: no state."""
        state = self.terraform_state(name)
        if state is None:
            return None
        kept = [each for each in state["resources"] if each["type"] == "terraform_data"]
        services: Services = kept[0]["instances"][0]["attributes"]["input"]["value"] if kept else {}
        return services

    def terraform_state(self, name: str) -> dict[str, Any] | None:
        key = f"tasks/{name}/terraform.tfstate"
        body = self.object(key, self.stack.outputs["StateBucket"])
        state: dict[str, Any] | None = json.loads(body) if body is not None else None
        return state

    def record(self, run: Run, name: str) -> bytes | None:
        """What a build left under the run: started, applying, log, result.json."""
        return self.object(keys.run_object(run.task, run.id, name))

    @property
    def work_bucket(self) -> str:
        return self.stack.outputs["WorkBucket"]

    def object(self, key: str, bucket: str | None = None) -> bytes | None:
        try:
            answer = self._s3.get_object(Bucket=bucket or self.work_bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        body: bytes = answer["Body"].read()
        return body

    def expected(self, *services: str) -> Services:
        """The variable `services` that CTS documents, made of Consul's own answers alone."""
        answers = [row for service in services for row in self.catalog.healthy(service)]
        return expected(answers)

    # ---- waiting ------------------------------------------------------------------------------

    def until(
        self,
        condition: Callable[[], Found | None],
        what: str,
        seconds: float = PATIENCE,
        *,
        every: float = EVERY,
    ) -> Found:
        """The first true value of the condition. Raises TimeoutError with what there is."""
        try:
            return wait_until(condition, seconds, what, every=every)
        except TimeoutError as problem:
            raise TimeoutError(f"{problem}\n{self._described()}") from None

    def _described(self) -> str:
        states = self.table.all_states().values()
        runs = [run for state in states for run in self.runs(state.task)]
        denied = [(call["caller"], call["action"], call["keys"]) for call in self.denied()]
        lines = [f"Stack: {self.stack.folder}", f"Denied: {denied}", *map(str, (*states, *runs))]
        return "\n".join(lines)


def folder_of(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, as a person's configuration folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
