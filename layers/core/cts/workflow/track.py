"""Record how builds end, and sweep: whatever an event was lost for is found here every minute."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from cts.errors import Refused, Unavailable, Unreadable, Upstream
from cts.events import BuildEnded
from cts.keys import task_of
from cts.ports import Generations, Published
from cts.run.model import End, Run, RunStatus
from cts.run.records import GivenUp, Started, end_from, started_from
from cts.run.task import Running, TaskState, due
from cts.workflow import settle
from cts.workflow.announce import announce_pending

RESTART_WITHIN = 4 * 60.0
"""Seconds after the claim in which a build may be started again: CodeBuild knows its idempotency
token for five minutes."""
NEWS_AFTER = 50.0
"""Seconds after the claim from which a run without news is asked for."""
ENDED = frozenset({"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"})


class Runs(Protocol):
    def all_states(self) -> Mapping[str, TaskState]: ...
    def slots(self) -> frozenset[str]: ...
    def free_slot(self, run_id: str) -> None: ...
    def record_build(self, run: Run, build: str) -> None: ...


class BuildObjects(Protocol):
    def run_object(self, task: str, run: str, name: str) -> bytes | None: ...
    def archive_version(self, task: str, run: str) -> str | None: ...


class Driver(Protocol):
    @property
    def longest(self) -> float:
        """Seconds after its claim by which the build of a run has ended, whatever happened."""

    def start(self, run: Run, archive_version: str) -> str: ...
    def status(self, build: str) -> str | None:
        """None if the driver does not know it just now: a living build may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPorts:
    settling: settle.SettlePorts
    runs: Runs
    published: Published
    generations: Generations
    objects: BuildObjects
    driver: Driver
    now: Callable[[], float]
    cap: int
    """Most builds at a time."""


@dataclass(slots=True)
class TrackReport:
    """What was found, for logs and metrics."""

    settled: list[Run] = field(default_factory=list)
    triggered: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    errors: list[Upstream] = field(default_factory=list)
    """What could not be looked after. All else was."""

    def attempt(self, step: Callable[..., object], *arguments: object) -> None:
        try:
            step(*arguments)
        except Upstream as error:
            self.errors.append(error)


def track(ports: TrackPorts, news: BuildEnded) -> TrackReport:
    """Take in a build's end. Late or repeated news changes nothing."""
    report = TrackReport()
    run = ports.settling.tasks.run(news.task, news.run_id)
    if run is not None and news.status in ENDED:
        _settle(ports, run, news.build, news.status, report)
    if report.settled:
        _trigger(ports, report, freed_by=news.task)
    return report


def sweep(ports: TrackPorts) -> TrackReport:
    """Find what no event told: due and not running, running without news, announcements not
    sent, slots that ended runs hold. What fails is reported, and keeps nothing else waiting."""
    report = TrackReport()
    slots = ports.runs.slots()  # before the states: what is claimed after this is not freed
    states = ports.runs.all_states()
    for state in states.values():
        if state.running is not None:
            report.attempt(_ask, ports, state, state.running, report)
        if state.unannounced:
            report.attempt(_announce, ports.settling, state.task)
        if state.unreadable:
            report.errors.append(Unreadable(f"looking after {state.task}: {state.hold}"))
    for run_id in _left_over(slots, states):
        report.attempt(ports.runs.free_slot, run_id)
    report.attempt(_trigger, ports, report)
    settling = ports.settling
    report.attempt(announce_pending, ports.published, settling.bus, settling.metrics)
    return report


def _announce(settling: settle.SettlePorts, task: str) -> None:
    """The state is read again: a run that was settled since has announced."""
    settle.announce(settling, settling.tasks.state(task))


def _left_over(slots: frozenset[str], states: Mapping[str, TaskState]) -> frozenset[str]:
    """The slots of runs that ended. What a state that can't be read runs is not known."""
    running = {state.running.run for state in states.values() if state.running}
    dark = {state.task for state in states.values() if state.unreadable}
    return frozenset(run for run in slots - running if task_of(run) not in dark)


def _trigger(ports: TrackPorts, report: TrackReport, freed_by: str | None = None) -> None:
    """Announce what is due, if a slot is free: of the queue as many as there are free slots, who
    waits longest first, and all that is not in the queue, for its announcement may be lost. If a
    run of `freed_by` has just freed its slot: of the latter only the task itself."""
    free = ports.cap - len(ports.runs.slots())
    current = ports.published.current() if free > 0 else None
    if current is None:
        return
    tasks = ports.generations.generation(current).tasks
    now = ports.now()
    found = [
        state
        for name, state in ports.runs.all_states().items()
        if name in tasks and due(state, tasks[name].enabled, now)
    ]
    queue = [state for state in found if state.queued_since is not None]
    queue.sort(key=lambda state: state.queued_since or now)
    others = [
        state for state in found if state.queued_since is None and freed_by in (None, state.task)
    ]
    woken = queue[:free] + others
    if woken:
        ports.settling.bus.send([settle.triggered(state) for state in woken])
    report.triggered += [state.task for state in woken]


# ---- one run ------------------------------------------------------------------------------


def _ask(ports: TrackPorts, state: TaskState, running: Running, report: TrackReport) -> None:
    """Ask the driver for a run that no news came from."""
    age = ports.now() - running.claimed_at
    if age < NEWS_AFTER:
        return
    run = ports.settling.tasks.run(state.task, running.run) or _expired(state, running)
    started = _started(ports, run)
    if isinstance(started, GivenUp):
        settle.given_up(ports.settling, run, started)
        _ended(ports, run, report)
        return
    build = (started.build if started else None) or run.build
    if started is None and build is None:
        _start_again(ports, run, report)
        return
    status = ports.driver.status(build) if build else None
    if build and status in ENDED:
        _settle(ports, run, build, str(status), report)
    elif status is None:
        _without_word(ports, run, started, age >= ports.driver.longest, report)


def _expired(state: TaskState, running: Running) -> Run:
    """The run as its task's state knows it: its row expired."""
    first = min(running.serves.values(), key=lambda wish: wish.since, default=None)
    return Run(
        id=running.run,
        task=state.task,
        status=RunStatus.PENDING,
        why=tuple(running.serves),
        since=first.since if first else running.claimed_at,
        claimed_at=running.claimed_at,
        generation=0,
        definition="",
        trigger=running.trigger,
        inputs={},
        correlation=first.correlation if first else "",
        attempt=state.failures + 1,
    )


def _start_again(ports: TrackPorts, run: Run, report: TrackReport) -> None:
    """The runner died around StartBuild. A build that was started twice runs once."""
    young = ports.now() - run.claimed_at < RESTART_WITHIN
    version = ports.objects.archive_version(run.task, run.id) if young else None
    if version is None:
        if settle.give_up(ports.settling, run, None):
            _ended(ports, run, report)
        return
    try:
        ports.runs.record_build(run, ports.driver.start(run, version))
        report.restarted.append(run.id)
    except Unavailable:
        return  # the next sweep tries again
    except Refused as error:
        if settle.give_up(ports.settling, run, settle.refused(error)):
            _ended(ports, run, report)


def _settle(ports: TrackPorts, run: Run, build: str, status: str, report: TrackReport) -> None:
    """Take in the driver's word for how a build ended."""
    started, its = _started(ports, run), replace(run, build=build)
    if started is None:
        error = f"build {build} ended as {status} before its first command"
        _never_began(ports, its, error, report)
    elif isinstance(started, Started) and build == (started.build or run.build):
        told, applying = _told(ports, run)
        _finished(ports, its, told or _cut_off(f"the build ended as {status}", applying), report)
    # else another build is this run's, or none is


def _without_word(
    ports: TrackPorts, run: Run, started: Started | None, overdue: bool, report: TrackReport
) -> None:
    """The driver doesn't know the build: its own result counts, or that its time is long up."""
    if started is not None:
        told, applying = _told(ports, run)
        if told is None and overdue:
            told = replace(_cut_off("no word came from the build", applying), known=False)
        if told is not None:
            _finished(ports, run, told, report)
    elif overdue:
        _never_began(ports, run, f"no word came from build {run.build}, which never began", report)


def _never_began(ports: TrackPorts, run: Run, error: str, report: TrackReport) -> None:
    end = End(RunStatus.ERRORED, apply_began=False, error=error)
    if settle.give_up(ports.settling, run, end):
        _ended(ports, run, report)


def _finished(ports: TrackPorts, run: Run, end: End, report: TrackReport) -> None:
    if settle.settle(ports.settling, run, end) is not None:
        _ended(ports, run, report)


def _ended(ports: TrackPorts, run: Run, report: TrackReport) -> None:
    report.settled.append(ports.settling.tasks.run(run.task, run.id) or run)


# ---- what a build left --------------------------------------------------------------------


def _started(ports: TrackPorts, run: Run) -> Started | GivenUp | None:
    return started_from(ports.objects.run_object(run.task, run.id, "started"))


def _told(ports: TrackPorts, run: Run) -> tuple[End | None, bool]:
    """What the build itself says of its end, and whether its apply began."""
    applying = ports.objects.run_object(run.task, run.id, "applying") is not None
    body = ports.objects.run_object(run.task, run.id, "result.json")
    return end_from(body, apply_began=applying), applying


def _cut_off(how: str, applying: bool) -> End:
    where = "while it applied" if applying else "before its apply began"
    error = f"{how} {where}, without a result"
    return End(RunStatus.ERRORED, apply_began=applying, error=error)
