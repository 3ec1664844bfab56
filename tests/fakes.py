"""In-memory ports with a memory of their own. `tests/contract` holds table, bucket and bus to what
the adapters do."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast
from zipfile import BadZipFile

from cts import keys
from cts.adapters.bucket import LARGEST_RECORD, StoredObject, checked
from cts.adapters.build_records import BuildStatus
from cts.adapters.builds import RecordedBuilds, RunFolder
from cts.adapters.codebuild import LIMITS, CodeBuild, status_of
from cts.adapters.sessions import Sessions
from cts.errors import Altered, Missing, Unreadable
from cts.events import Event, entry
from cts.generation import Attempt, Current, Generation, Rejected
from cts.run.model import Run, RunStatus
from cts.run.state import TaskState
from cts.terraform.archive import content_digest, unzipped
from cts.terraform.definition import Definition
from cts.watch import happened
from cts.watch.happened import Fed
from cts.watch.lease import Commit, Lease
from cts.watch.snapshot import Snapshot, digest_of
from cts.watch.stale import StaleViews
from cts.watch.view import Chunk, Row, chunk_of, rows_of
from tests import schemas

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

E = TypeVar("E")
RUN = Run(
    id="web-20260101T000000-abc123",
    task="web",
    status=RunStatus.PENDING,
    why=("change",),
    since=1_000.0,
    claimed_at=1_000.0,
    generation=1,
    definition="d",
    trigger="t",
    inputs={},
    correlation="c-1",
    attempt=1,
    folder="f01de4",
)


class FakeTable:
    """Every port of the table. Items have versions; what is one transaction there is one here."""

    def __init__(self) -> None:
        self.leased: Lease | None = None
        self.stored_chunks: dict[str, Chunk] = {}
        self.stored_stale = StaleViews()
        self.stored_states: dict[str, TaskState] = {}
        self.stored_runs: dict[str, Run] = {}
        self.held_slots: set[str] = set()
        self.live: Current | None = None
        self.refused: Rejected | None = None
        self.tried: Attempt | None = None

    # ---- lease ----------------------------------------------------------------------------

    def lease(self) -> Lease | None:
        return self.leased

    def take(self, read: Lease | None, new: Lease) -> bool:
        return self._write_lease(read.epoch if read else None, new)

    def beat(self, lease: Lease) -> bool:
        return self._write_lease(lease.epoch, lease)

    def _write_lease(self, epoch: int | None, new: Lease) -> bool:
        if (self.leased.epoch if self.leased else None) != epoch:
            return False
        self.leased = new
        return True

    # ---- views ----------------------------------------------------------------------------

    def chunks(self) -> Mapping[str, Chunk]:
        return dict(self.stored_chunks)

    def rows(self, views: Collection[str]) -> dict[str, Row]:
        found = rows_of(self.stored_chunks)
        return {view: found[view] for view in views if view in found}

    def drop_row(self, view: str, digest: str) -> None:
        chunk = self.stored_chunks.get(chunk_of(view))
        if chunk is None or view not in chunk.rows or chunk.rows[view].digest != digest:
            return
        rows = {each: row for each, row in chunk.rows.items() if each != view}
        self._put_chunk(replace(chunk, rows=rows))

    def commit(
        self, epoch: int, states: Collection[TaskState], chunks: Collection[Chunk]
    ) -> Commit:
        if self.leased is None or self.leased.epoch != epoch:
            return Commit.DEPOSED
        if not all(map(self._is_read_state, states)) or not all(map(self._is_read_chunk, chunks)):
            return Commit.STALE
        for state in states:
            self._put_state(state)
        for chunk in chunks:
            self._put_chunk(chunk)
        return Commit.DONE

    def stale_views(self) -> StaleViews:
        return self.stored_stale

    def put_stale_views(self, epoch: int, stale: StaleViews) -> Commit:
        if self.leased is None or self.leased.epoch != epoch:
            return Commit.DEPOSED
        if self.stored_stale.version != stale.version:
            return Commit.STALE
        self.stored_stale = replace(stale, version=stale.version + 1)
        return Commit.DONE

    def _is_read_chunk(self, chunk: Chunk) -> bool:
        stored = self.stored_chunks.get(chunk.name)
        return (stored.version if stored else 0) == chunk.version

    def _put_chunk(self, chunk: Chunk) -> None:
        self.stored_chunks[chunk.name] = replace(chunk, version=chunk.version + 1)

    # ---- task states ----------------------------------------------------------------------

    def state(self, task: str) -> TaskState:
        return self.stored_states.get(task) or TaskState(task)

    def states(self, tasks: Collection[str]) -> Mapping[str, TaskState]:
        return {task: self.state(task) for task in tasks}

    def all_states(self) -> dict[str, TaskState]:
        return dict(self.stored_states)

    def put_state(self, state: TaskState) -> bool:
        if not self._is_read_state(state):
            return False
        self._put_state(state)
        return True

    def _is_read_state(self, state: TaskState) -> bool:
        return self.state(state.task).version == state.version

    def _put_state(self, state: TaskState) -> None:
        self.stored_states[state.task] = replace(state, version=state.version + 1)

    # ---- runs -----------------------------------------------------------------------------

    def before_claim(self, task: str) -> tuple[TaskState, Current | None, frozenset[str]]:
        return self.state(task), self.current(), self.slots()

    def claim(self, state: TaskState, run: Run, cap: int) -> str | None:
        if not self._is_read_state(state):
            return "state"
        if len(self.held_slots) >= cap:
            return "slot"
        if self.live is None or self.live.number != run.generation:
            return "generation"
        self._put_state(state)
        self.held_slots.add(run.id)
        self.stored_runs[run.id] = run
        return None

    def settle(self, state: TaskState, run: Run) -> bool:
        if not self._is_read_state(state):
            return False
        self._put_state(state)
        self.held_slots.discard(run.id)
        self.stored_runs[run.id] = run
        return True

    def slots(self) -> frozenset[str]:
        return frozenset(self.held_slots)

    def free_slot(self, run_id: str) -> None:
        self.held_slots.discard(run_id)

    def record_build(self, run: Run) -> None:
        stored = self.stored_runs[run.id]
        build, renewed_at = run.build or stored.build, run.renewed_at or stored.renewed_at
        waits = stored.waits if run.waits is None else run.waits
        self.stored_runs[run.id] = replace(stored, build=build, renewed_at=renewed_at, waits=waits)

    def run(self, task: str, run_id: str) -> Run | None:
        return self.stored_runs.get(run_id)

    def run_and_state(self, task: str, run_id: str) -> tuple[Run | None, TaskState]:
        return self.run(task, run_id), self.state(task)

    def runs(self, task: str | None, limit: int) -> list[Run]:
        found = [run for run in self.stored_runs.values() if task in (None, run.task)]
        return sorted(found, key=lambda run: run.claimed_at, reverse=True)[:limit]

    # ---- what is published ----------------------------------------------------------------

    def current(self) -> Current | None:
        return self.live

    def put_current(self, read: Current | None, new: Current) -> bool:
        if (self.live and self.live.number) != (read and read.number):
            return False
        self.live = new
        return True

    def rejected(self) -> Rejected | None:
        return self.refused

    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool:
        if (self.refused and self.refused.rejected_at) != (read and read.rejected_at):
            return False
        self.refused = new
        return True

    def attempt(self) -> Attempt | None:
        return self.tried

    def put_attempt(self, read: Attempt | None, new: Attempt) -> bool:
        if (self.tried and self.tried.began_at) != (read and read.began_at):
            return False
        self.tried = new
        return True


@lru_cache
def read_generation(text: bytes) -> Generation:
    """Read once: histories and tests ask for the same one again and again."""
    return Generation.from_json(text)


class FakeBucket:
    """The work bucket. An object's versions are counted from 1 and all kept."""

    def __init__(self) -> None:
        self.objects: dict[str, list[bytes]] = defaultdict(list)
        self.superseded: set[str] = set()
        self.gone: set[tuple[str, str]] = set()
        """Keys and versions; of the newest version "", as if it were a delete marker."""

    def bundle(self, size: int, version: str = "") -> StoredObject | None:
        found = self._get(keys.BUNDLE, version)
        return replace(found, body=found.body[:size]) if found else None

    def generation(self, current: Current) -> Generation:
        key = keys.generation(current.number, current.digest)
        return read_generation(self._intact(key, current.digest))

    def put_generation(self, generation: Generation) -> str:
        body = generation.to_json().encode()
        digest = digest_of(body)
        self.write(keys.generation(generation.number, digest), body)
        return digest

    def put_shown(self, tasks: list[dict[str, Any]]) -> str:
        body = json.dumps(tasks).encode()
        self.write(keys.tasks_shown(digest_of(body)), body)
        return digest_of(body)

    def shown(self, digest: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._intact(keys.tasks_shown(digest), digest))
        return found

    def definition(self, digest: str) -> Definition:
        key = keys.definition(digest)
        try:
            return Definition.from_json(self._intact(key, digest))
        except ValueError as error:
            raise Unreadable(f"reading {key}: not a valid Definition: {error}") from error

    def module(self, digest: str) -> dict[str, bytes]:
        key = keys.module(digest)
        try:
            files = unzipped(self._must_get(key))
        except BadZipFile as error:
            raise Altered(key, str(error)) from error
        return checked(files, key, content_digest(files), digest)

    def put_compiled(
        self, definitions: Collection[Definition], modules: Mapping[str, bytes]
    ) -> None:
        for digest, archive in modules.items():
            self.write(keys.module(digest), archive)
        for definition in definitions:
            self.put_definition(definition)

    def put_all(self, snapshots: Mapping[str, Snapshot]) -> None:
        for view, snapshot in snapshots.items():
            self.put(view, snapshot)

    def get(self, view: str, digest: str) -> Snapshot | None:
        key = keys.snapshot(view, digest)
        return Snapshot(self._intact(key, digest), digest) if key in self.objects else None

    def get_all(self, digests: Mapping[str, str]) -> dict[str, Snapshot]:
        found = {view: self.get(view, digest) for view, digest in digests.items()}
        return {view: snapshot for view, snapshot in found.items() if snapshot}

    def supersede(self, view: str, digest: str) -> None:
        if (key := keys.snapshot(view, digest)) in self.objects:
            self.superseded.add(key)

    def fed(self, task: str) -> dict[str, Fed]:
        stored = self._get(keys.fed(task))
        return happened.read(stored.body) if stored else {}

    def put_fed(self, task: str, fed: Mapping[str, Fed]) -> None:
        self.write(keys.fed(task), happened.written(fed))

    def put_archive(self, task: str, run: str, archive: bytes) -> None:
        self.write(keys.run_object(task, run, "archive.zip"), archive)

    def archive(self, task: str, run: str) -> bytes | None:
        stored = self._get(keys.run_object(task, run, "archive.zip"))
        return stored.body if stored else None

    def put_build_object(self, folder: str, name: str, body: bytes) -> None:
        self.write(keys.build_object(folder, name), body)

    def delete_build_objects(self, folder: str, names: Collection[str]) -> None:
        for name in names:
            self.objects.pop(keys.build_object(folder, name), None)

    def run_object(self, task: str, run: str, name: str) -> bytes | None:
        stored = self._get(keys.run_object(task, run, name))
        if stored is None:
            return None
        return stored.body if len(stored.body) <= LARGEST_RECORD else b""

    def put_run_object(self, task: str, run: str, name: str, body: bytes) -> None:
        self.write(keys.run_object(task, run, name), body)

    def uploaded(self, task: str) -> bytes | None:
        stored = self._get(keys.uploaded(task))
        return stored.body if stored else None

    def put_uploaded(self, task: str, body: bytes) -> None:
        self.write(keys.uploaded(task), body)

    def log_end(self, task: str, run: str, size: int) -> tuple[bytes, int] | None:
        stored = self._get(keys.run_object(task, run, "log"))
        return (stored.body[-size:], max(0, len(stored.body) - size)) if stored else None

    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool:
        key = keys.run_object(task, run, name)
        if key in self.objects:
            return False
        self.write(key, body)
        return True

    # ---- what tests do to it --------------------------------------------------------------

    def put(self, view: str, snapshot: Snapshot) -> None:
        key = keys.snapshot(view, snapshot.digest)
        self.superseded.discard(key)
        self.write(key, snapshot.body)

    def put_definition(self, definition: Definition) -> None:
        self.write(keys.definition(definition.digest), definition.to_json().encode())

    def write(self, key: str, body: bytes) -> str:
        self.objects[key].append(body)
        return str(len(self.objects[key]))

    def expire(self, key: str) -> None:
        self.superseded.discard(key)
        del self.objects[key]

    def _get(self, key: str, version: str = "") -> StoredObject | None:
        if key not in self.objects or (key, version) in self.gone:
            return None
        versions = self.objects[key]
        number = int(version) if version else len(versions)
        return (
            StoredObject(key, versions[number - 1], str(number))
            if number <= len(versions)
            else None
        )

    def _intact(self, key: str, digest: str) -> bytes:
        body = self._must_get(key)
        return checked(body, key, digest_of(body), digest)

    def _must_get(self, key: str) -> bytes:
        stored = self._get(key)
        if stored is None:
            raise Missing(key)
        return stored.body


class FakeBus:
    """Keeps what was sent. All of it matches its schema."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, events: Collection[Event]) -> None:
        for event in events:
            schemas.check(event.detail_type, json.loads(entry(event, "bus")["Detail"]))
        self.events += events

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


class FakeMetrics:
    """Keeps what was counted and flushed: what is lost at a kill was not flushed."""

    def __init__(self) -> None:
        self.counted: dict[str, list[float]] = defaultdict(list)
        self._added: list[tuple[str, float]] = []

    def add_metric(self, name: str, unit: str, value: float) -> None:
        assert unit in ("Count", "Seconds")
        self._added.append((name, value))

    def flush_metrics(self) -> None:
        for name, value in self._added:
            self.counted[name].append(value)
        self._added.clear()


class FakeSts:
    """STS: it says in credentials which run they are for, and how often it was asked."""

    SECRET = "s3cr3t"

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.asked: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def assume_role(self, **request: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        self.asked.append(request)
        run = {each["Key"]: each["Value"] for each in request["Tags"]}["run"]
        found = {
            "AccessKeyId": f"ASIA{len(self.asked)}",
            "SecretAccessKey": f"{self.SECRET} of {run}",
            "SessionToken": f"{self.SECRET} token {len(self.asked)}",
            "Expiration": datetime.fromtimestamp(self._now() + 3600, UTC),
        }
        return {"Credentials": found}


def fake_sessions(sts: FakeSts, bucket: FakeBucket) -> Sessions:
    return Sessions(cast("STSClient", sts), "arn:aws:iam::111122223333:role/task", bucket)


@dataclass(slots=True)
class FakeBuild:
    id: str
    run: Run
    archive: bytes
    """What it was started with."""
    started_at: float
    status: str = "IN_PROGRESS"


class FakeDriver(RecordedBuilds):
    """CodeBuild: while the token lives a repeated start with the same run id is the same build."""

    limits = LIMITS
    heard = staticmethod(CodeBuild.heard)

    def __init__(self, now: Callable[[], float], folder: RunFolder) -> None:
        super().__init__(folder, now)
        self.builds: dict[str, FakeBuild] = {}
        self.error: Exception | None = None
        """What the next starts raise."""
        self.token_lives = 300.0

    def start(self, run: Run, archive: bytes) -> str:
        if self.error is not None:
            raise self.error
        for build in self.builds.values():
            if build.run.id == run.id and self._now() - build.started_at < self.token_lives:
                return build.id
        made = FakeBuild(f"cts:{len(self.builds) + 1}", run, archive, self._now())
        self.builds[made.id] = made
        return made.id

    def status(self, build: str) -> BuildStatus:
        found = self.builds.get(build)
        return status_of(build, found.status if found else None)


def build_event(task: str, run: str, build: str, status: str) -> dict[str, Any]:
    """What EventBridge brings of a build, as far as it is read."""
    variables = [{"name": "CTS_TASK", "value": task}, {"name": "CTS_RUN_ID", "value": run}]
    return {
        "detail-type": "CodeBuild Build State Change",
        "detail": {
            "build-status": status,
            "build-id": f"arn:aws:codebuild:eu-west-1:111122223333:build/{build}",
            "additional-information": {"environment": {"environment-variables": variables}},
        },
    }


def failed_event(
    asked: Mapping[str, str],
    request: str,
    *,
    condition: str = "RetriesExhausted",
    raised: bool = False,
) -> dict[str, Any]:
    """What EventBridge brings of an invocation that Lambda has given up, as far as it is read."""
    error: dict[str, Any] = {"errorType": "Runtime.ExitError"}
    if raised:
        error = {"errorType": "OSError", "stackTrace": []}
    return {
        "detail-type": "Lambda Function Invocation Result - Failure",
        "detail": {
            "requestContext": {"requestId": request, "condition": condition},
            "requestPayload": asked,
            "responsePayload": error if condition == "RetriesExhausted" else None,
        },
    }


class Counter:
    """Ids one after the other."""

    def __init__(self) -> None:
        self._number = 0

    def _next(self) -> int:
        self._number += 1
        return self._number

    def new_id(self) -> str:
        return f"id-{self._next()}"

    def new_folder(self) -> str:
        return f"f01de4-{self._next()}"

    def new_run_id(self, task: str) -> str:
        return f"{task}-20260101T000000-{self._next():06x}"


@dataclass(slots=True)
class Clock:
    """Time that only a test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def before_next(target: object, method: str, happens: Callable[[], object]) -> None:
    """Something happens right before the next call of a fake's method."""
    real = getattr(target, method)

    def call(*args: Any) -> Any:
        setattr(target, method, real)
        happens()
        return real(*args)

    setattr(target, method, call)


@contextmanager
def failing(target: object, method: str, error: Exception) -> Iterator[None]:
    """A fake's method raises, for a while."""
    real = getattr(target, method)

    def call(*_: Any) -> Any:
        raise error

    setattr(target, method, call)
    yield
    setattr(target, method, real)
