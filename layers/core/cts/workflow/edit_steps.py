"""What requests to change a task have in common: the change, and a run that is waited for."""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

from cts.config.task_change import Changed, ChangeOutcome, TaskChange, Verb
from cts.errors import BadRequest, CtsError, TaskNotFound, TookTooLong
from cts.run.model import Run, RunStatus
from cts.run.plan_text import has_changes, plan_text
from cts.workflow import tasks
from cts.workflow.tasks import TaskPorts

MARGIN = 30.0
"""Seconds before its time limit that the function must have answered."""
EVERY = 1.0
"""Seconds between two looks at a run."""
RUNS = 10
"""Of the newest runs of a task, how many are looked at."""
LONGEST_LOG = 4_000_000
"""Bytes from the end of a log that a plan is taken from."""
DRAFT = 20 * 60.0
"""Seconds until a draft expires: longer than a request can wait for its plan."""


HALF = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
ESCAPED = re.compile(rf"\\\\|{PAIR}|({HALF})")
"""In JSON. Half of a surrogate pair can't be encoded: as in CTS, it is read as U+FFFD."""


class TaskChanges(Protocol):
    def change(self, asked: TaskChange) -> Changed:
        """Raises Unavailable."""


class NewestRuns(Protocol):
    def runs(self, task: str | None, limit: int) -> list[Run]: ...


class LogEnds(Protocol):
    def log_end(self, task: str, run: str, size: int) -> tuple[bytes, int] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EditPorts:
    asking: TaskPorts
    publisher: TaskChanges
    runs: NewestRuns
    logs: LogEnds
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class EditRequest(tasks.Request):
    text: str
    """The body, as it was sent."""
    query: Mapping[str, list[str]]
    content_type: str
    waits: bool
    """False: it is answered as soon as its run has been asked for."""
    until: float
    """When the function will be ended."""


def asked(event: Mapping[str, Any], name: str, until: float) -> EditRequest:
    """Raises NotSigned."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = b64decode(body).decode(errors="replace")
    headers = {key.lower(): value for key, value in (event.get("headers") or {}).items()}
    prefers = {each.strip().lower() for each in headers.get("prefer", "").split(",")}
    by, id_ = tasks.caller(event)
    return EditRequest(
        id=id_,
        task=unquote(name),
        by=by,
        body={},
        text=ESCAPED.sub(lambda found: r"\ufffd" if found[1] else found[0], body),
        query=parse_qs(event.get("rawQueryString", ""), keep_blank_values=True),
        content_type=headers.get("content-type", ""),
        waits="respond-async" not in prefers,
        until=until,
    )


def changed(
    ports: EditPorts,
    asked: tasks.Request,
    verb: Verb,
    name: str,
    fields: Mapping[str, Any],
    refused: Callable[[str], CtsError],
    *,
    at: float | None = None,
    dry_run: bool = False,
) -> Changed:
    """`at`: as in `TaskChange`, now without it. Raises what `refused` makes of the reason."""
    at = ports.asking.now() if at is None else at
    until = at + DRAFT if verb is Verb.DRAFT else None
    change = TaskChange(verb, name, asked.by, at, fields, until, dry_run, asked.id)
    found = ports.publisher.change(change)
    match found.outcome:
        case ChangeOutcome.EXISTS:
            raise BadRequest(f"task with name {name} already exists")
        case ChangeOutcome.UNKNOWN:
            raise TaskNotFound(name)
        case ChangeOutcome.INVALID:
            raise refused("\n".join(found.problems))
    return found


def ask(ports: EditPorts, asked: tasks.Request, name: str, action: tasks.Action) -> dict[str, Any]:
    _, found = action(ports.asking, tasks.Request(asked.id, name, asked.by, {}))
    return {"asked": found["asked"]}


def waited(ports: EditPorts, asked: EditRequest, name: str, wish: Mapping[str, Any]) -> Run:
    """The run that served the wish. Raises TookTooLong."""
    request = wish["asked"]["id"]
    while True:
        found = [each for each in ports.runs.runs(name, RUNS) if each.request == request]
        run = found[0] if found else None
        if run and run.status.ended and run.status not in (RunStatus.BUSY, RunStatus.CANCELED):
            return run
        if ports.asking.now() + EVERY + MARGIN >= asked.until:
            raise TookTooLong(name, run.id if run else "")
        ports.sleep(EVERY)


def failure(run: Run) -> str:
    """In CTS's words."""
    step = run.end.step if run.end else None
    told = (run.end.error if run.end else None) or "it did not say why"
    return f"error tf-{step} for '{run.task}': {told}"


def plan(ports: EditPorts, run: Run) -> dict[str, Any]:
    read = ports.logs.log_end(run.task, run.id, LONGEST_LOG)
    text = plan_text(read[0].decode(errors="replace")) if read else ""
    return {"plan": text, "changes_present": has_changes(text, run.end.counts if run.end else None)}
