"""Answer the reader's requests: CTS's status API, plus configuration and poller.

The query rules and messages of `/v1/status` are those of CTS 0.9.0.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

from cts.errors import (
    BadRequest,
    CtsError,
    NoCluster,
    NoLog,
    NoSuchPath,
    NotAllowed,
    RunNotFound,
    TaskNotFound,
    Unavailable,
)
from cts.generation import Current, Generation, Rejected, TaskEntry
from cts.ports import Generations
from cts.run.model import Run
from cts.run.state import TaskState
from cts.run.status import TaskStatus
from cts.watch.lease import Lease
from cts.watch.needs import first_views
from cts.watch.snapshot import Snapshot
from cts.watch.stale import StaleViews
from cts.watch.view import Chunk, rows_of
from cts.workflow import shown, shown_configuration, shown_runs
from cts.workflow.delta_record import DeltaObjects


class ReadConfig(Protocol):
    def current(self) -> Current | None: ...
    def rejected(self) -> Rejected | None: ...
    def lease(self) -> Lease | None: ...


class ReadTasks(Protocol):
    def all_states(self) -> Mapping[str, TaskState]: ...
    def chunks(self) -> Mapping[str, Chunk]: ...
    def stale_views(self) -> StaleViews: ...


class ReadRuns(Protocol):
    def run(self, task: str, run_id: str) -> Run | None: ...
    def runs(self, task: str | None, limit: int) -> list[Run]:
        """The newest runs of one task, or of all tasks."""


class ReadObjects(Generations, Protocol):
    def shown(self, digest: str) -> list[dict[str, Any]]:
        """The Task objects of a generation, or what people have made of them."""

    def get_all(self, digests: Mapping[str, str]) -> dict[str, Snapshot]: ...
    def log_end(self, task: str, run: str, size: int) -> tuple[bytes, int] | None:
        """Up to `size` bytes from the end of a run's log, and the number of bytes left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPorts:
    configuration: ReadConfig
    tasks: ReadTasks
    runs: ReadRuns
    objects: ReadObjects
    records: DeltaObjects
    now: Callable[[], float]
    live: bool
    """Whether a poller keeps running and sends heartbeats (mode `live`)."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A GET request. A query key without a value has the value ""."""

    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)


# ---- tasks --------------------------------------------------------------------------------


def status(ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    live = generation(ports)
    look = _look(ports, live.listed if live else {})
    return shown.summary(look, waiting=len(live.waiting) if live else 0)


def tasks(ports: ReadPorts, request: ApiRequest) -> dict[str, Any]:
    """The live generation's tasks by name."""
    wanted, events = _filters(request)
    live = generation(ports)
    look = _look(ports, live.listed if live else {})
    found = _each(look)
    kept = {name: each for name, each in found.items() if wanted in (None, each["status"])}
    return _with_events(ports, live, look, kept) if events else kept


def _each(look: shown.Known) -> dict[str, dict[str, Any]]:
    return {name: shown.task(look, name) for name in sorted(look.tasks)}


def task(ports: ReadPorts, request: ApiRequest, name: str) -> dict[str, Any]:
    """One task. As in CTS, a task that never ran is shown regardless of the filter."""
    name = unquote(name)
    if "/" in name:
        return too_deep(ports, request)
    wanted, events = _filters(request)
    live = generation(ports)
    listed = live.listed if live else {}
    if name not in listed:
        raise TaskNotFound(name)
    look = _look(ports, {name: listed[name]})
    found = shown.task(look, name)
    if wanted not in (None, found["status"]) and look.state(name).recent:
        return {}
    return _with_events(ports, live, look, {name: found}) if events else {name: found}


def too_deep(_ports: ReadPorts, request: ApiRequest) -> dict[str, Any]:
    """CTS's response to a path below a task."""
    raise BadRequest(
        f"unsupported path '{unquote(request.path)}'. request must be format 'path/{{task-name}}'. "
        "task name cannot have '/ ' and api does not support further resources"
    )


def live_tasks(ports: ReadPorts) -> Mapping[str, TaskEntry]:
    """Those of the live generation, by name."""
    live = generation(ports)
    return live.listed if live else {}


def generation(ports: ReadPorts) -> Generation | None:
    return _live(ports)[1]


def _live(ports: ReadPorts) -> tuple[Current | None, Generation | None]:
    """The live generation, after what names it; None for both before the first."""
    current = ports.configuration.current()
    return current, ports.objects.generation(current) if current else None


def _look(
    ports: ReadPorts, tasks: Mapping[str, TaskEntry], *, views_only: bool = False
) -> shown.Known:
    """`views_only`: without states, and without rows that nothing needs."""
    wanted = first_views(each for entry in tasks.values() for each in entry.conditions)
    with ThreadPoolExecutor(3) as pool:  # each waits for AWS
        states = None if views_only else pool.submit(ports.tasks.all_states)
        chunks = pool.submit(ports.tasks.chunks) if wanted or not views_only else None
        stale = pool.submit(ports.tasks.stale_views)
    rows = rows_of(chunks.result()) if chunks else {}
    known = {view.id: rows[view.id].digest for view in wanted if view.id in rows}
    firsts = ports.objects.get_all(known)
    found = states.result() if states else {}
    return shown.Known(tasks, found, rows, firsts, stale.result(), ports.now())


def _with_events(
    ports: ReadPorts, live: Generation | None, look: shown.Known, found: Mapping[str, Any]
) -> dict[str, Any]:
    """CTS omits the key if there are no events."""
    full = dict(found)
    modules = {each["name"]: each["module"] for each in task_objects(ports, live)}
    for name in found:
        if recent := look.state(name).recent:
            source = modules[name]
            full[name] |= {"events": [shown_runs.event(name, each, source) for each in recent]}
    return full


def task_objects(ports: ReadPorts, live: Generation | None) -> list[dict[str, Any]]:
    """The Task objects in the order of the configuration, then in the order of their creation.
    Raises Unavailable if the live generation is of a version that stored none."""
    if live is None:
        return []
    if not live.shown:
        raise Unavailable("reading the tasks: the deployed version is about to publish them again")
    return ports.objects.shown(live.shown)


def _filters(request: ApiRequest) -> tuple[TaskStatus | None, bool]:
    """The requested status, and whether to include events."""
    status = once(request, "status", "status query")
    if status is not None and status.lower() not in {each.value for each in TaskStatus}:
        raise BadRequest(
            "unsupported status parameter value. only supporting status values successful, "
            f"errored, critical, and unknown but got {status}"
        )
    include = once(request, "include", "include")
    if include not in (None, "events"):
        raise BadRequest(
            "unsupported ?include parameter value. only supporting 'include=events' "
            f"but got 'include={include}'"
        )
    return TaskStatus(status.lower()) if status is not None else None, include is not None


def once(request: ApiRequest, key: str, called: str) -> str | None:
    """The value of a query key; None without it. `called`: its name in an error."""
    values = request.query.get(key, [])
    if len(values) > 1:
        listed = " ".join(values)
        raise BadRequest(
            f"cannot support more than one {called} parameter, got {key} values: [{listed}]"
        )
    return values[0] if values else None


# ---- configuration and poller -------------------------------------------------------------


def configuration(ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    return shown_configuration.configuration(*_live(ports), ports.configuration.rejected())


def poller(ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    return _poller(ports, _look(ports, live_tasks(ports), views_only=True))


def overview(ports: ReadPorts, _request: ApiRequest) -> dict[str, Any]:
    """All that `cts status` shows. Everything is read once."""
    current, live = _live(ports)
    look = _look(ports, live.listed if live else {})
    rejected = ports.configuration.rejected()
    return {
        "tasks": _each(look),
        "configuration": shown_configuration.configuration(current, live, rejected),
        **_poller(ports, look),
    }


def _poller(ports: ReadPorts, look: shown.Known) -> dict[str, Any]:
    return {
        "poller": shown.poller(ports.configuration.lease(), ports.now(), live=ports.live),
        "stale_views": shown.stale_views(look),
    }


# ---- routes -------------------------------------------------------------------------------

Route = Callable[..., dict[str, Any] | str]
ROUTES: Mapping[str, Route] = {
    "/v1/status": status,
    "/v1/status/tasks/?": tasks,
    "/v1/status/tasks/<name>": task,
    "/v1/status/tasks/.+/.*": too_deep,
    "/v1/status/(?!cluster$|tasks$|tasks/).*": status,
    "/v1/configuration": configuration,
    "/v1/poller": poller,
    "/v1/overview": overview,
}
"""Handlers for GET by path, as patterns for the resolver. `<...>` are named arguments; patterns
without them are tried first. As in CTS, another path below `/v1/status/` is the overall status."""


def code_of(error: CtsError) -> int:
    """The HTTP status for an error."""
    match error:
        case BadRequest():
            return 400
        case NotAllowed() | NoCluster():
            return 405
        case TaskNotFound() | RunNotFound() | NoLog() | NoSuchPath():
            return 404
        case Unavailable():
            return 503
        case _:
            return 500
