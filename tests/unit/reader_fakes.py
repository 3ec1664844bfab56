"""A deployed system as the reader sees it, and how its function URL is called."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from cts import keys
from cts.conditions import services
from cts.conditions.services import ServicesCondition
from cts.generation import BufferPeriod, Current, Generation, Rejected, TaskEntry, Waiting
from cts.run.model import End, Run, RunStatus
from cts.run.state import Outcome, Reason, Running, TaskState, Wish
from cts.terraform.definition import Definition, Module
from cts.watch.query import View
from cts.watch.snapshot import Snapshot, of
from cts.watch.stale import Stale, StaleViews
from cts.watch.view import Chunk, Row, chunk_of
from cts.workflow.read import ReadPorts
from functions.reader import app
from tests.fakes import FakeBucket, FakeTable

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z"""
VERSION = "bundle-version-1"


class World:
    def __init__(self) -> None:
        self.table, self.bucket = FakeTable(), FakeBucket()
        self.tasks: dict[str, TaskEntry] = {}
        self.waiting: dict[str, Waiting] = {}
        self.ports = ReadPorts(
            configuration=self.table,
            tasks=self.table,
            runs=self.table,
            objects=self.bucket,
            records=self.bucket,
            now=lambda: NOW,
            live=True,
        )

    def add(
        self,
        state: TaskState,
        *,
        enabled: bool = True,
        regexp: str | None = None,
        buffer: BufferPeriod | None = None,
        events: tuple[str, ...] = (),
    ) -> None:
        """A task that watches the service of its own name, or those that match."""
        self.declare(state, enabled=enabled, regexp=regexp, buffer=buffer, events=events)
        self.publish(self.table.live or published())

    def declare(
        self,
        state: TaskState,
        *,
        enabled: bool = True,
        regexp: str | None = None,
        buffer: BufferPeriod | None = None,
        events: tuple[str, ...] = (),
    ) -> None:
        """As `add`, but for `publish` to write: a generation for each of many tasks takes long."""
        condition = ServicesCondition(() if regexp else (state.task,), regexp)
        definition = Definition(state.task, Module(f"./modules/{state.task}"), condition)
        self.bucket.put_definition(definition)
        entry = TaskEntry(
            definition.digest, condition, enabled=enabled, buffer=buffer, events=events
        )
        self.tasks[state.task] = entry
        self.table.stored_states[state.task] = state

    def publish(self, current: Current) -> None:
        shown = self.bucket.put_shown(
            [{"name": name, "module": f"./modules/{name}"} for name in self.tasks]
        )
        made = Generation(current.number, 1, current.sources, self.tasks, self.waiting, shown=shown)
        self.table.live = replace(current, digest=self.bucket.put_generation(made))

    def read_view(self, view: View, snapshot: Snapshot | None = None) -> None:
        snapshot = snapshot or of([])
        self.bucket.put(view.id, snapshot)
        former = self.table.stored_chunks.get(chunk_of(view.id), Chunk(chunk_of(view.id)))
        rows = {**former.rows, view.id: Row(7, snapshot.digest)}
        self.table.stored_chunks[former.name] = replace(former, rows=rows)

    def read_services(self, *names: str) -> None:
        for name in names:
            self.read_view(View(services.SERVICE, name))

    def went_stale(self, *views: View, since: float = NOW - 185, why: str = "no route") -> None:
        """Beside those that are stale already."""
        new = {view.id: Stale(str(view), since, why) for view in views}
        known = {**self.table.stored_stale.views, **new}
        self.table.stored_stale = StaleViews(1, known, len(known))

    def ran(self, *runs: Run) -> None:
        self.table.stored_runs.update({run.id: run for run in runs})

    def write_log(self, run: Run, text: str) -> None:
        self.bucket.write(keys.run_object(run.task, run.id, "log"), text.encode())


def run_id(task: str, number: int = 1) -> str:
    return f"{task}-20270115T0759{number:02}-abcdef"


def published(
    number: int = 3, version: str = VERSION, at: float = NOW - 200, **tasks: list[str]
) -> Current:
    changes: dict[str, Any] = {"added": [], "changed": [], "removed": [], **tasks}
    return Current(number, "", 1, {"config/bundle.zip": version}, published_at=at, **changes)


def rejected(version: str = VERSION, at: float = NOW - 100, *problems: dict[str, Any]) -> Rejected:
    found = list(problems) or [problem()]
    return Rejected({"config/bundle.zip": version}, 1, at, len(found), found)


def problem(**changed: Any) -> dict[str, Any]:
    return {
        "file": "tasks.hcl",
        "line": 3,
        "column": 5,
        "path": "task.web.condition.services",
        "code": "unknown-option",
        "what": 'unknown option "naems"',
        "fix": 'did you mean "names"?',
        **changed,
    }


def wish(due_at: float = NOW) -> dict[Reason, Wish]:
    return {Reason.CHANGE: Wish(NOW - 5, due_at, "correlation", "fingerprint")}


def tick(due_at: float) -> dict[Reason, Wish]:
    return {Reason.SCHEDULE: Wish(due_at, due_at, "correlation", "@hourly")}


def busy(due_at: float, *, since: float) -> dict[Reason, Wish]:
    return {reason: replace(each, busy_since=since) for reason, each in wish(due_at).items()}


def running(task: str) -> Running:
    return Running(run_id(task), wish(), "trigger", "inputs", NOW - 12, before=None)


def success(task: str, number: int = 1, add: int = 1, change: int = 0) -> Outcome:
    counts = {"add": add, "change": change, "destroy": 0}
    return Outcome(run_id(task, number), True, NOW - 60, None, NOW - 70, counts)


def failure(task: str, number: int = 1) -> Outcome:
    error = "\n╷\n│ Error: no route to host\n│\n│   on main.tf line 3"
    return Outcome(run_id(task, number), False, NOW - 30, error, NOW - 40)


def pending(task: str = "web", number: int = 1) -> Run:
    return Run(
        id=run_id(task, number),
        task=task,
        status=RunStatus.PENDING,
        why=("change",),
        since=NOW - 62.5,
        claimed_at=NOW - 60 + number,
        generation=3,
        definition="definition",
        trigger="trigger",
        inputs={"view": "digest"},
        correlation="correlation",
        attempt=1,
    )


def applied(task: str = "web", number: int = 1) -> Run:
    end = End(
        status=RunStatus.APPLIED,
        apply_began=True,
        step="done",
        counts={"add": 2, "change": 1, "destroy": 0},
        terraform="1.11.4",
        times={
            "started": "2027-01-15T07:59:05.000+00:00",
            "init": "2027-01-15T07:59:06.500+00:00",
            "plan": "2027-01-15T07:59:09.000+00:00",
            "apply": "2027-01-15T07:59:10.000+00:00",
            "ended": "2027-01-15T07:59:14.000+00:00",
        },
    )
    return replace(pending(task, number), status=end.status, end=end, ended_at=NOW - 45)


def errored(task: str = "web", number: int = 1) -> Run:
    end = End(RunStatus.ERRORED, apply_began=False, error="╷\n│ Error: no route to host")
    return replace(pending(task, number), status=end.status, end=end, ended_at=NOW - 45)


def call(url: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and body that the function answers. Set `app.ports` first."""
    answer = invoke(url, method)
    return answer["statusCode"], answer["headers"]["Content-Type"], answer["body"]


def invoke(url: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    return handled({**event(url, method), "headers": headers})


def event(url: str, method: str = "GET") -> dict[str, Any]:
    """What the function URL makes of a request, without its headers."""
    parts = urlsplit(url)
    return {
        "version": "2.0",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "requestContext": {
            "stage": "$default",
            "requestId": "r-1",
            "http": {"method": method, "path": parts.path},
        },
        "isBase64Encoded": False,
    }


def handled(event: dict[str, Any]) -> dict[str, Any]:
    names = ("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id")
    context: Any = SimpleNamespace(**dict.fromkeys(names, "reader"))
    answer: dict[str, Any] = app.lambda_handler(event, context)
    return answer


def get(url: str) -> Any:
    """The JSON of a good answer."""
    code, kind, body = call(url)
    assert (code, kind) == (200, "application/json"), body
    assert body.endswith("}\n")  # as in CTS
    return json.loads(body)


def refusal(url: str, method: str = "GET") -> tuple[int, str]:
    code, _, body = call(url, method)
    return code, json.loads(body)["error"]["message"]
