"""Change what tasks do: the requests of the API. Each change says who made it.

A change is a conditional write of the task's state, decided again if another write was faster. It
is announced at once; what can't be announced the sweep sends.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from cts.errors import (
    BadRequest,
    Conflict,
    CtsError,
    NoSuchPath,
    NotAllowed,
    NotDone,
    NotSigned,
    TaskNotFound,
    TookTooLong,
    Unavailable,
)
from cts.generation import Current, TaskEntry
from cts.ports import Bus, Generations
from cts.run import person
from cts.run.due import due
from cts.run.place import released
from cts.run.state import Reason, TaskState, Wish
from cts.workflow import settle, shown
from cts.workflow.counting import Metrics
from cts.workflow.delta_record import DeltaObjects
from cts.workflow.loading import Definitions

LONGEST_REASON = 500
"""In characters. States are read by the hundred."""


class Live(Protocol):
    def current(self) -> Current | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPorts:
    tasks: settle.Announced
    live: Live
    generations: Generations
    definitions: Definitions
    records: DeltaObjects
    bus: Bus
    metrics: Metrics
    now: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for."""

    id: str
    task: str
    by: str
    """The person's ARN."""
    body: Mapping[str, Any]


Answer = tuple[int, dict[str, Any]]
"""HTTP status and JSON value."""
Action = Callable[[TaskPorts, Request], Answer]


def caller(event: Mapping[str, Any]) -> tuple[str, str]:
    """The caller, which is what IAM says of the request's signature, and the request's ID. Raises
    NotSigned without a signature, as when the function is invoked directly."""
    context = event.get("requestContext") or {}
    by = ((context.get("authorizer") or {}).get("iam") or {}).get("userArn")
    if not by:
        raise NotSigned
    return by, context.get("requestId", "")


def with_body(asked: Request, text: str) -> Request:
    """Raises BadRequest for a body that is not a JSON object."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadRequest("the body must be a JSON object")
    return Request(asked.id, asked.task, asked.by, found)


# ---- hold and release ---------------------------------------------------------------------


def hold(ports: TaskPorts, asked: Request) -> Answer:
    """`{"why": text}`: nothing is applied until it is released. Again by the same person for the
    same reason: as it is."""
    why = _text(asked, "why")

    def held(state: TaskState, _: TaskEntry, now: float) -> TaskState:
        stands = state.held
        if stands is not None and (stands.by, stands.why) != (asked.by, why):
            since = shown.maybe(stands.since)
            raise Conflict(
                asked.task, f"is held already, by {stands.by} since {since}: {stands.why}"
            )
        return person.hold(state, why, asked.by, now)

    return 200, _shown(change(ports, asked, held))


def release(ports: TaskPorts, asked: Request) -> Answer:
    """Whatever held it. A task that nothing holds stays as it is."""
    nothing(asked)
    after = change(ports, asked, lambda state, _, now: released(state, asked.by, now))
    return 200, _shown(after)


def _shown(state: TaskState) -> dict[str, Any]:
    return {"task": state.task, "hold": shown.hold(state)}


# ---- runs ---------------------------------------------------------------------------------


def run(ports: TaskPorts, asked: Request) -> Answer:
    """A run as soon as possible, whether or not anything has changed."""
    return _wish(ports, asked, _may_run)


def retry(ports: TaskPorts, asked: Request) -> Answer:
    """A run of what failed: of a task that gave up, or waits for its next attempt."""
    if _entry(ports, asked.task).leaving:
        return _wish(ports, asked, _not_held, Reason.DESTROY)

    def may_retry(state: TaskState, entry: TaskEntry) -> None:
        _may_run(state, entry)
        if Reason.PERSON not in wishes(state) and not state.gave_up and state.retry_at is None:
            raise Conflict(state.task, "has nothing to retry: its last run did not fail")

    return _wish(ports, asked, may_retry)


def inspect(ports: TaskPorts, asked: Request) -> Answer:
    """A plan that is not applied, also of a task that is held or disabled."""
    return _wish(ports, asked, lambda _state, _entry: None, Reason.INSPECT)


def inspect_destroy(ports: TaskPorts, asked: Request) -> Answer:
    """A plan of what would be destroyed if the task were deleted so."""
    return _wish(ports, asked, lambda _state, _entry: None, Reason.INSPECT_DESTROY)


def check_may_be_destroyed(ports: TaskPorts, task: str) -> None:
    """Raises TaskNotFound or Conflict if it may not."""
    _not_held(ports.tasks.state(task), _entry(ports, task))


def _not_held(state: TaskState, _: TaskEntry) -> None:
    if state.hold:
        raise Conflict(state.task, f"is held, so release it first: {state.hold}")


def _may_run(state: TaskState, entry: TaskEntry) -> None:
    _not_held(state, entry)
    if entry.leaving:
        raise Conflict(state.task, "is being destroyed: enable it first, which ends that")
    if not entry.enabled:
        raise Conflict(state.task, "is disabled: enable it first")


def wishes(state: TaskState) -> Mapping[Reason, Wish]:
    """What is wanted or being served."""
    return {**(state.running.serves if state.running else {}), **state.wanted}


def _wish(
    ports: TaskPorts,
    asked: Request,
    check: Callable[[TaskState, TaskEntry], None],
    reason: Reason = Reason.PERSON,
) -> Answer:
    nothing(asked)

    def wished(state: TaskState, entry: TaskEntry, now: float) -> TaskState:
        check(state, entry)
        return person.ask(state, now, asked.id, asked.by, reason)

    return told(ports, asked, change(ports, asked, wished), reason)


def told(ports: TaskPorts, asked: Request, state: TaskState, reason: Reason) -> Answer:
    """`id` in the answer finds its run: it is the run's `request`. `state`: with the wish."""
    wish = wishes(state).get(reason)
    found = wish or Wish(ports.now(), ports.now(), asked.id, by=asked.by)  # it may have run by now
    facts = {"reason": reason.value, "id": found.correlation, "by": found.by}
    return 202, {"task": asked.task, "asked": {**facts, "since": shown.maybe(found.since)}}


# ---- one change ---------------------------------------------------------------------------


def change(
    ports: TaskPorts,
    asked: Request,
    decide: Callable[[TaskState, TaskEntry, float], TaskState],
) -> TaskState:
    """The state that was written, or that needed no change. `decide` raises Conflict if the task's
    state does not permit it."""
    entry = _entry(ports, asked.task)
    while True:
        state, now = ports.tasks.state(asked.task), ports.now()
        if state.unreadable:
            raise Conflict(asked.task, f"is held: {state.hold}")
        after = decide(state, entry, now)
        if after == state or ports.tasks.put_state(after):
            break
    with suppress(Unavailable):
        told = settle.announce(ports, ports.tasks.state(asked.task))
        if due(told, entry.enabled, ports.now()):
            ports.bus.send([settle.triggered(told)])
    return after


def _entry(ports: TaskPorts, task: str) -> TaskEntry:
    current = ports.live.current()
    generation = ports.generations.generation(current) if current else None
    if generation is not None and task in generation.waiting:
        reasons = ", ".join(generation.waiting[task].reasons)
        raise Conflict(task, f"does not run yet, because it needs what is not supported: {reasons}")
    if generation is None or task not in generation.tasks:
        raise TaskNotFound(task)
    return generation.tasks[task]


def _text(asked: Request, name: str) -> str:
    """The one member of the body."""
    value = asked.body.get(name)
    if asked.body.keys() - {name} or not isinstance(value, str) or not value.strip():
        raise BadRequest(f'the body must be a JSON object with "{name}": a text, and nothing else')
    if len(value) > LONGEST_REASON:
        raise BadRequest(f'"{name}" must have at most {LONGEST_REASON} characters')
    return value.strip()


def nothing(asked: Request) -> None:
    if asked.body:
        raise BadRequest("the body must be empty")


# ---- routes -------------------------------------------------------------------------------

ROUTES: Mapping[str, Action] = {
    "/v1/tasks/<name>/hold": hold,
    "/v1/tasks/<name>/release": release,
    "/v1/tasks/<name>/retry": retry,
    "/v1/tasks/<name>/run": run,
    "/v1/tasks/<name>/inspect": inspect,
}
"""Handlers for POST by path, as patterns for the resolver."""


def unknown(event: Mapping[str, Any], routes: Collection[str]) -> NotAllowed | NoSuchPath:
    """The response if no route matches."""
    http = event["requestContext"]["http"]
    method, path = http["method"], http["path"]
    if any(re.fullmatch(each.replace("<name>", "[^/]+"), path) for each in routes):
        return NotAllowed(method, "task", "POST")
    if path == "/v1/tasks":
        return NotAllowed(method, "task", "POST")
    if path.startswith("/v1/tasks/"):
        return NotAllowed(method, "task", "PATCH, PUT, DELETE")
    return NoSuchPath()


CODES: Mapping[type[CtsError], int] = {
    BadRequest: 400,
    NotSigned: 403,
    TaskNotFound: 404,
    NoSuchPath: 404,
    NotAllowed: 405,
    Conflict: 409,
    NotDone: 500,
    Unavailable: 503,
    TookTooLong: 504,
}


def refusal(error: CtsError) -> Answer:
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), 500)
    return code, {"error": {"message": str(error)}}
