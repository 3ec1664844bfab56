"""Start a run for a task that is due: claim, render, archive, hand to the driver."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from cts.conditions.condition import Read
from cts.errors import Altered, Missing, Refused, Unavailable, Unreadable, Upstream
from cts.events import RunStarted, iso
from cts.generation import Current, Generation, TaskEntry
from cts.ports import Bus, Driver, Generations
from cts.run.model import MOST_INPUTS, End, Run, RunStatus
from cts.run.state import TaskState
from cts.run.task import Claimed, claim, due, queue
from cts.run.tick import LATE, less_missed
from cts.terraform.archive import RunPlace, run_archive
from cts.terraform.definition import Definition
from cts.watch.fingerprint import fingerprint_of
from cts.watch.needs import digests, first_views, looked_at
from cts.watch.snapshot import Snapshot
from cts.watch.view import Chunk, rows_of
from cts.workflow import deltas, settle


class ClaimedTasks(Protocol):
    def state(self, task: str) -> TaskState: ...
    def put_state(self, state: TaskState) -> bool: ...
    def claim(self, state: TaskState, run: Run, cap: int) -> str | None:
        """None: claimed. Otherwise what prevented it: state, slot or generation."""

    def record_build(self, run: Run) -> None: ...


class Views(Protocol):
    def current(self) -> Current | None: ...
    def chunks(self) -> Mapping[str, Chunk]: ...
    def drop_row(self, view: str, digest: str) -> None:
        """Take the view's row out, if it still has this digest: its snapshot is gone."""


class RunObjects(Protocol):
    """What a run is made of, and where its archive goes."""

    def definition(self, digest: str) -> Definition: ...
    def get(self, view: str, digest: str) -> Snapshot | None: ...
    def module(self, digest: str) -> Mapping[str, bytes]: ...
    def put_archive(self, task: str, run: str, archive: bytes) -> None: ...


class Slots(Protocol):
    def slots(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPorts:
    settling: settle.SettlePorts
    tasks: ClaimedTasks
    views: Views
    generations: Generations
    objects: RunObjects
    slots: Slots
    drivers: Mapping[str, Driver]
    place: RunPlace
    program: Mapping[str, str]
    """The files of `build/`: name in an archive -> text."""
    bus: Bus
    now: Callable[[], float]
    new_run_id: Callable[[str], str]
    new_folder: Callable[[], str]
    cap: int
    """Most builds at a time."""
    records: deltas.RunRecords


class StartOutcome(StrEnum):
    STARTED = "started"
    NOT_DUE = "nothing is due"
    GONE = "the configuration has no such task"
    NOT_READ = "a view has not been read yet"
    DONE_ALREADY = "the work is already done"
    QUEUED = "no slot is free"
    BUSY = "another claim came first"
    REFUSED = "the build could not be started"
    NOT_RENDERED = "its run could not be rendered"


def start(ports: StartPorts, task: str) -> StartOutcome:
    """Claim the task and hand it to its driver. What to do is read from the state, now, so a late
    or repeated event starts nothing twice.

    The state is read before the views: it is written a moment before them.
    """
    state = ports.tasks.state(task)
    current = ports.views.current()
    generation = ports.generations.generation(current) if current else None
    if generation is None or task not in generation.tasks:
        return StartOutcome.GONE
    entry, now = generation.tasks[task], ports.now()
    if not due(state, entry.enabled, now):
        return StartOutcome.NOT_DUE
    left = less_missed(state, now, entry.condition.next_tick(now - LATE))
    if left != state:  # stored at once: it may wait for a slot for long
        return start(ports, task) if ports.tasks.put_state(left) else StartOutcome.BUSY
    if len(ports.slots.slots()) >= ports.cap:  # looked at first: many may wait
        return _queued(ports, state)
    try:
        return _run(ports, state, generation)
    except Upstream:
        _leave_queue(ports, state)
        raise


def _run(ports: StartPorts, state: TaskState, generation: Generation) -> StartOutcome:
    task, entry = state.task, generation.tasks[state.task]
    driver = settle.driver_of(ports.drivers, entry.driver, f"starting task {task}")
    loaded = load(ports, entry)
    if loaded is None:
        _leave_queue(ports, state)
        return StartOutcome.NOT_READ
    inputs = loaded.inputs
    trigger = fingerprint_of(entry.definition, loaded.looked_at)
    fed = fingerprint_of(entry.definition, inputs)
    run_id, now = ports.new_run_id(task), ports.now()
    tick = entry.condition.next_tick(now)
    claimed = claim(state, run_id, trigger, fed, now, entry.driver, tick)
    if not isinstance(claimed, Claimed):
        left = replace(claimed, queued_since=None)
        if left != state:
            ports.tasks.put_state(left)
        return StartOutcome.DONE_ALREADY
    run = Run(
        id=run_id,
        task=task,
        status=RunStatus.PENDING,
        why=tuple(reason.value for reason in claimed.why),
        since=claimed.since,
        claimed_at=now,
        generation=generation.number,
        definition=entry.definition,
        trigger=trigger,
        inputs=dict(sorted(inputs.items())[:MOST_INPUTS]),
        correlation=claimed.correlation,
        attempt=claimed.state.failures + 1,
        more_inputs=max(0, len(inputs) - MOST_INPUTS),
        driver=entry.driver,
        folder=ports.new_folder(),
    )
    # Before the claim: what can't be rendered or stored must not hold the task and a slot.
    try:
        archive = _archive(ports, run, state, entry, loaded.read)
    except (Altered, Missing, ValueError) as error:
        return _not_rendered(ports, claimed.state, run, error)
    ports.objects.put_archive(task, run_id, archive)
    run = replace(
        run,
        delta=deltas.record(ports.settling.tasks, ports.records, state, run, entry, loaded.read),
    )
    return _claim(ports, driver, state, claimed.state, run, archive)


def _claim(
    ports: StartPorts,
    driver: Driver,
    state: TaskState,
    claimed: TaskState,
    run: Run,
    archive: bytes,
) -> StartOutcome:
    match ports.tasks.claim(claimed, run, ports.cap):
        case None:
            return _build(ports, driver, run, archive)
        case "slot":
            return _queued(ports, state)
        case _:
            return StartOutcome.BUSY


def _not_rendered(
    ports: StartPorts, claimed: TaskState, run: Run, error: Exception
) -> StartOutcome:
    """It fails without a build, and is not retried until its definition or its data change."""
    end = End(
        RunStatus.ERRORED,
        apply_began=False,
        error=f"rendering the run: {error}",
        retryable=False,
        step=settle.RENDER,
    )
    written = settle.fail_unclaimed(ports.settling, claimed, run, end)
    return StartOutcome.NOT_RENDERED if written else StartOutcome.BUSY


def _queued(ports: StartPorts, state: TaskState) -> StartOutcome:
    queued = queue(state, ports.now())
    if queued != state:
        ports.tasks.put_state(queued)
    return StartOutcome.QUEUED


def _leave_queue(ports: StartPorts, state: TaskState) -> None:
    """It waits for something else than a slot: it must not be woken in place of those who do."""
    if state.queued_since is not None:
        ports.tasks.put_state(replace(state, queued_since=None))


class Loaded(NamedTuple):
    inputs: Mapping[str, str]
    """View id -> digest of all that the run is given."""
    looked_at: Mapping[str, str]
    """What of it triggers the task."""
    read: Read


def load(ports: StartPorts, entry: TaskEntry) -> Loaded | None:
    """What the condition and the module inputs render; None if something was not read."""
    rows = rows_of(ports.views.chunks())
    needed = {view.id for view in first_views(entry.conditions)}
    firsts = _read(ports, {view: rows[view].digest for view in needed & rows.keys()})
    inputs = digests(entry.conditions, rows, firsts)
    if inputs is None:
        return None
    rest = _read(ports, {v: digest for v, digest in inputs.items() if v not in firsts})
    read = {**firsts, **rest}
    if not inputs.keys() <= read.keys():
        return None
    return Loaded(inputs, looked_at(entry.condition, rows, firsts), read)


def _read(ports: StartPorts, digests: Mapping[str, str]) -> dict[str, Snapshot]:
    """The snapshots that are there. The poller reads a view again whose snapshot is gone."""
    snapshots = {view: ports.objects.get(view, digest) for view, digest in digests.items()}
    for view in (view for view, found in snapshots.items() if found is None):
        ports.views.drop_row(view, digests[view])
    return {view: found for view, found in snapshots.items() if found is not None}


def _build(ports: StartPorts, driver: Driver, run: Run, archive: bytes) -> StartOutcome:
    try:
        build = driver.start(run, archive)
    except Refused as error:  # Unavailable is the sweep's to try again: the build may have begun
        settle.give_up(ports.settling, driver, run, settle.refused(error))
        return StartOutcome.REFUSED
    ports.tasks.record_build(replace(run, build=build))
    at = iso(ports.now())
    started = RunStarted(run.task, run.id, list(run.why), run.attempt, build, run.correlation, at)
    ports.bus.send([started])
    return StartOutcome.STARTED


def _archive(
    ports: StartPorts,
    run: Run,
    state: TaskState,
    entry: TaskEntry,
    read: Read,
) -> bytes:
    definition = _definition(ports, run)
    digest = definition.module.digest
    return run_archive(
        definition,
        read,
        description=entry.description,
        module=ports.objects.module(digest) if digest else None,
        place=ports.place,
        run={
            "task": run.task,
            "run": run.id,
            "correlation_id": run.correlation,
            # A state lock that one of these left behind is an orphan.
            "former_runs": [
                {"run": each.run, "ended_at": iso(each.ended_at)} for each in state.former
            ],
        },
        program=ports.program,
    )


def _definition(ports: StartPorts, run: Run) -> Definition:
    """What a newer version of this program published is left to that version's runner."""
    try:
        definition = ports.objects.definition(run.definition)
    except Unreadable as error:
        raise Unavailable(f"rendering run {run.id}: {error}") from error
    if definition.digest != run.definition:
        raise Unavailable(
            f"rendering run {run.id}: definition {run.definition} has fields that this version of "
            "the program does not know; a newer one runs it"
        )
    return definition
