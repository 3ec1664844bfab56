"""Start a run for a task that is due: claim, render, archive, hand to the driver."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from cts.conditions.condition import Read
from cts.errors import Altered, Missing, Refused, Upstream
from cts.events import iso
from cts.generation import Current, Generation, TaskEntry
from cts.ports import Bus, Driver, Generations
from cts.run.apart import path_in_consul
from cts.run.due import due
from cts.run.home import at_home
from cts.run.kept_version import claimed_with
from cts.run.lane import Capacity
from cts.run.leaving import less_former_leave
from cts.run.model import MOST_INPUTS, TERRAFORM, End, Run, RunStatus
from cts.run.place import is_placed
from cts.run.state import Reason, TaskState
from cts.run.task import Claimed, claim, queue
from cts.run.tick import LATE, less_missed
from cts.terraform.archive import move_archive, run_archive
from cts.terraform.backend import kept_in_consul
from cts.terraform.cloud import cloud_archive
from cts.terraform.definition import Definition
from cts.terraform.permissions import secrets
from cts.terraform.place import RunPlace, placed
from cts.watch.fingerprint import fingerprint_of
from cts.watch.happened import Fed
from cts.workflow import deltas, settle
from cts.workflow.ignored import FedTasks, fed_after, is_ignored
from cts.workflow.lanes import in_lane
from cts.workflow.loading import Rows, Stored, definition_of, load
from cts.workflow.run_events import run_started


class ClaimedTasks(Protocol):
    def before_claim(self, task: str) -> tuple[TaskState, Current | None, frozenset[str]]:
        """The task's state, what is live, and the runs that hold slots."""

    def put_state(self, state: TaskState) -> bool: ...
    def claim(self, state: TaskState, run: Run, cap: int) -> str | None:
        """None: claimed. Otherwise what prevented it: state, slot or generation."""

    def record_build(self, run: Run) -> None: ...


class RunObjects(Stored, Protocol):
    """What a run is made of."""

    def definition(self, digest: str) -> Definition: ...
    def module(self, digest: str) -> Mapping[str, bytes]: ...


class FedRuns(FedTasks, Protocol):
    def put_fed(self, task: str, fed: Mapping[str, Fed]) -> None:
        """In place of what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPorts:
    settling: settle.SettlePorts
    tasks: ClaimedTasks
    views: Rows
    generations: Generations
    objects: RunObjects
    fed: FedRuns
    drivers: Mapping[str, Driver]
    place: RunPlace
    program: bytes
    """A zip with the files of `build/`, as archives have them."""
    bus: Bus
    now: Callable[[], float]
    new_run_id: Callable[[str], str]
    new_folder: Callable[[], str]
    cap: int
    """Most runs at a time."""
    capacity: Capacity
    """In the warm lane."""
    records: deltas.RunRecords


class StartOutcome(StrEnum):
    STARTED = "started"
    NOT_DUE = "nothing is due"
    GONE = "the configuration has no such task"
    NOT_READ = "a view has not been read yet"
    NOT_PLACED = "whether CTS has left a state of it is not known yet"
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
    state, current, slots = ports.tasks.before_claim(task)
    generation = ports.generations.generation(current) if current else None
    if generation is None or task not in generation.tasks:
        return StartOutcome.GONE
    entry, now = generation.tasks[task], ports.now()
    if not due(state, entry.enabled, now):
        return StartOutcome.NOT_DUE
    if generation.former_state and not is_placed(state):
        return StartOutcome.NOT_PLACED
    left = less_missed(state, now, entry.condition.next_tick(now - LATE))
    left = less_former_leave(at_home(left, entry.home, now), entry.leaving)
    if left != state:  # stored at once: it may wait for a slot for long
        return start(ports, task) if ports.tasks.put_state(left) else StartOutcome.BUSY
    if len(slots) >= ports.cap:  # looked at first: many may wait
        return _queued(ports, state)
    try:
        return _run(ports, state, generation)
    except Upstream:
        _leave_queue(ports, state)
        raise


def _run(ports: StartPorts, state: TaskState, generation: Generation) -> StartOutcome:
    task, entry = state.task, generation.tasks[state.task]
    loaded = load(ports.views, ports.objects, entry)
    if loaded is None:
        _leave_queue(ports, state)
        return StartOutcome.NOT_READ
    trigger = fingerprint_of(entry.definition, loaded.looked_at)
    fed = fingerprint_of(entry.definition, loaded.inputs)
    run_id, now = ports.new_run_id(task), ports.now()
    tick = entry.condition.next_tick(now)
    former = ports.fed.fed(task) if entry.events else {}
    read = loaded.read
    ignored = is_ignored(entry, state, loaded.looked_at, read, read.get, former.get)
    claimed = claim(state, run_id, trigger, fed, now, entry.driver, tick, ignored=ignored)
    if not isinstance(claimed, Claimed):
        left = replace(claimed, queued_since=None)
        if left != state:
            ports.tasks.put_state(left)
        return StartOutcome.DONE_ALREADY
    run = _new_run(ports, generation, entry, claimed, loaded.inputs, now)
    # All before the claim: what can't be rendered or stored must not hold the task and a slot.
    try:
        path = path_in_consul(claimed.state)
        definition = kept_in_consul(definition_of(ports.objects, run), path)
        run = in_lane(run, state, entry, definition, ports.capacity)
        run = replace(run, secrets=secrets(definition))
        driver = settle.driver_of(ports.drivers, run.driver, f"starting task {task}")
        place = placed(ports.place, definition, state.terraform, entry.required_version)
        archive = _archive(ports, definition, run, state, entry, loaded.read, place)
    except (Altered, Missing, ValueError) as error:
        return _failed(ports, claimed.state, run, _not_rendered(error), StartOutcome.NOT_RENDERED)
    try:
        ports.settling.sessions.prepare(run, archive)
    except Refused as error:
        end = replace(settle.refused(error), step=settle.START)
        return _failed(ports, claimed.state, run, end, StartOutcome.REFUSED)
    kept = fed_after(entry, state, former, run_id, loaded) if entry.events else {}
    keeping = claimed_with(claimed.state, str(place.release), entry.home, run.driver)
    outcome = _claim(ports, driver, state, keeping, run, archive, kept)
    if outcome is StartOutcome.STARTED and not definition.cloud:
        deltas.record(ports.settling.tasks, ports.records, state, run, entry, loaded.read)
    return outcome


def _new_run(
    ports: StartPorts,
    generation: Generation,
    entry: TaskEntry,
    claimed: Claimed,
    inputs: Mapping[str, str],
    now: float,
) -> Run:
    running = claimed.state.running
    assert running is not None  # it was claimed
    asked = next((wish for wish in running.serves.values() if wish.by), None)
    return Run(
        id=running.run,
        task=claimed.state.task,
        status=RunStatus.PENDING,
        why=tuple(reason.value for reason in claimed.why),
        since=claimed.since,
        claimed_at=now,
        generation=generation.number,
        definition=entry.definition,
        trigger=running.trigger,
        inputs=dict(sorted(inputs.items())[:MOST_INPUTS]),
        correlation=claimed.correlation,
        attempt=claimed.state.failures + 1,
        more_inputs=max(0, len(inputs) - MOST_INPUTS),
        driver=entry.driver,
        folder=ports.new_folder() if entry.driver == TERRAFORM else "",
        by=asked.by if asked else "",
        request=asked.correlation if asked else "",
    )


def _claim(
    ports: StartPorts,
    driver: Driver,
    state: TaskState,
    claimed: TaskState,
    run: Run,
    archive: bytes,
    kept: Mapping[str, Fed],
) -> StartOutcome:
    match ports.tasks.claim(claimed, run, ports.cap):
        case None:
            if kept:
                ports.fed.put_fed(run.task, kept)
            return _build(ports, driver, run, archive)
        case "slot":
            outcome = _queued(ports, state)
        case _:
            outcome = StartOutcome.BUSY
    ports.settling.sessions.close(run)
    return outcome


def _not_rendered(error: Exception) -> End:
    """It is not retried until its definition or its data change."""
    return End(
        RunStatus.ERRORED,
        apply_began=False,
        error=f"rendering the run: {error}",
        retryable=False,
        step=settle.RENDER,
    )


def _failed(
    ports: StartPorts, claimed: TaskState, run: Run, end: End, outcome: StartOutcome
) -> StartOutcome:
    """It ends without a build."""
    written = settle.fail_unclaimed(ports.settling, claimed, run, end)
    return outcome if written else StartOutcome.BUSY


def _queued(ports: StartPorts, state: TaskState) -> StartOutcome:
    queued = queue(state, ports.now())
    if queued != state:
        ports.tasks.put_state(queued)
    return StartOutcome.QUEUED


def _leave_queue(ports: StartPorts, state: TaskState) -> None:
    """It waits for something else than a slot: it must not be woken in place of those who do."""
    if state.queued_since is not None:
        ports.tasks.put_state(replace(state, queued_since=None))


def _build(ports: StartPorts, driver: Driver, run: Run, archive: bytes) -> StartOutcome:
    try:
        build = driver.start(run, archive)
    except Refused as error:  # Unavailable is the sweep's to try again: the build may have begun
        settle.give_up(ports.settling, driver, run, settle.refused(error))
        return StartOutcome.REFUSED
    ports.tasks.record_build(replace(run, build=build))
    ports.bus.send([run_started(run, build, ports.now())])
    return StartOutcome.STARTED


def _archive(
    ports: StartPorts,
    definition: Definition,
    run: Run,
    state: TaskState,
    entry: TaskEntry,
    read: Read,
    place: RunPlace,
) -> bytes:
    facts = {
        "task": run.task,
        "run": run.id,
        "correlation_id": run.correlation,
        "inspect": bool({Reason.INSPECT, Reason.INSPECT_DESTROY} & {*run.why}),
        "destroy": bool({Reason.DESTROY, Reason.INSPECT_DESTROY} & {*run.why}),
        "definition": run.definition,
        # A state lock that one of these left behind is an orphan.
        "former_runs": [{"run": each.run, "ended_at": iso(each.ended_at)} for each in state.former],
    }
    if Reason.MOVE in run.why:
        facts["moves_to"] = "consul" if state.wanted[Reason.MOVE].path else "stack"
        return move_archive(definition, place, facts, ports.program)
    digest = definition.module.digest
    module = ports.objects.module(digest) if digest else None
    if definition.cloud:  # a run there says in its message what differs
        changed = deltas.record(ports.settling.tasks, ports.records, state, run, entry, read)
        return cloud_archive(
            definition, read, description=entry.description, module=module, place=place, run=facts,
            why=run.why, changed=changed,
        )  # fmt: skip
    return run_archive(
        definition, read, description=entry.description, module=module, place=place, run=facts,
        program=ports.program,
    )  # fmt: skip
