"""Record how runs end, and sweep: whatever an event was lost for is found here every minute."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from cts.errors import Forged, Refused, Unavailable, Unreadable, Upstream
from cts.generation import TaskEntry
from cts.keys import task_of
from cts.ports import Driver, Generations, Published
from cts.run.backlog import oldest_change, queued
from cts.run.due import due
from cts.run.expired import as_state_knows
from cts.run.model import Run, needs_renewal
from cts.run.news import GivenUp, GoesOn, HasEnded, Heard, NeverBegan, News, NotStarted
from cts.run.state import Reason, Running, TaskState
from cts.workflow import settle
from cts.workflow.announce import announce_pending
from cts.workflow.counting import Counted

NEWS_AFTER = 50.0
"""Seconds after the claim from which a run without news is asked for."""


class Runs(Protocol):
    def all_states(self) -> Mapping[str, TaskState]: ...
    def slots(self) -> frozenset[str]: ...
    def free_slot(self, run_id: str) -> None: ...
    def record_build(self, run: Run) -> None: ...


class RunsHeardOf(Protocol):
    def run_and_state(self, task: str, run_id: str) -> tuple[Run | None, TaskState]:
        """A run, and the state of its task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPorts:
    settling: settle.SettlePorts
    runs: Runs
    heard_of: RunsHeardOf
    published: Published
    generations: Generations
    drivers: Mapping[str, Driver]
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
    forged: bool = False
    """It was a request to the function's URL that is not signed; nothing was done."""
    queued: int = 0
    """How many tasks wait for a slot."""
    oldest_change: float = 0.0
    """Seconds since the oldest change was seen that is not applied."""

    @property
    def counted(self) -> list[Counted]:
        """What there is, so that a quiet stack pays for none of these metrics."""
        found: list[Counted] = [
            ("NotLookedAfter", "Count", len(self.errors)),
            ("TasksQueued", "Count", self.queued),
            ("OldestChangeSeconds", "Seconds", self.oldest_change),
        ]
        return [each for each in found if each[2]]

    def attempt(self, step: Callable[..., object], *arguments: object) -> None:
        try:
            step(*arguments)
        except Upstream as error:
            self.errors.append(error)


def track(ports: TrackPorts, event: Mapping[str, Any]) -> TrackReport | None:
    """Process an event from a driver, or a request to the function's URL; None if it is neither.
    Late or repeated news changes nothing."""
    for name, driver in ports.drivers.items():
        try:
            heard = driver.heard(event)
        except Forged:
            return TrackReport(forged=True)
        if heard is not None:
            return _take_in(ports, name, heard)
    return TrackReport() if "requestContext" in event else None


def sweep(ports: TrackPorts) -> TrackReport:
    """Find what no event told: due and not running, running without news, announcements not
    sent, slots that ended runs hold. What fails is reported, and keeps nothing else waiting."""
    report = TrackReport()
    slots = ports.runs.slots()  # before the states: what is claimed after this is not freed
    states = ports.runs.all_states()
    long_ago = ports.now() - NEWS_AFTER
    left_over = _left_over(slots, states)
    changed = bool(left_over)
    for state in states.values():
        if state.running is not None and state.running.claimed_at <= long_ago:
            report.attempt(_ask, ports, state, state.running, report)
            changed = True
        if state.unannounced:
            report.attempt(_announce, ports.settling, state.task)
        if state.unreadable:
            report.errors.append(Unreadable(f"processing {state.task}: {state.hold}"))
    for run_id in left_over:
        report.attempt(ports.runs.free_slot, run_id)
    report.attempt(_look_over, ports, slots, states, changed, report)
    settling = ports.settling
    report.attempt(announce_pending, ports.published, settling.bus, settling.metrics)
    return report


def _announce(settling: settle.SettlePorts, task: str) -> None:
    """The state is read again: a run that was settled since has announced."""
    settle.announce(settling, settling.tasks.state(task))


def _look_over(
    ports: TrackPorts,
    slots: frozenset[str],
    states: Mapping[str, TaskState],
    changed: bool,
    report: TrackReport,
) -> None:
    """Measure what waits, and announce what is due. `changed`: whether the sweep may have changed
    slots and states since they were read."""
    tasks = _tasks(ports)
    enabled = [states[name] for name, task in tasks.items() if task.enabled and name in states]
    report.queued = queued(enabled)
    report.oldest_change = oldest_change(enabled, ports.now())
    if changed:
        slots, states = ports.runs.slots(), ports.runs.all_states()
    _trigger(ports, report, ports.cap - len(slots), tasks, states)


def _tasks(ports: TrackPorts) -> Mapping[str, TaskEntry]:
    """Those of the live generation."""
    current = ports.published.current()
    return ports.generations.generation(current).tasks if current else {}


def _left_over(slots: frozenset[str], states: Mapping[str, TaskState]) -> frozenset[str]:
    """The slots of runs that ended. What a state that can't be read runs is not known."""
    running = {state.running.run for state in states.values() if state.running}
    dark = {state.task for state in states.values() if state.unreadable}
    return frozenset(run for run in slots - running if task_of(run) not in dark)


def _trigger_waiting(ports: TrackPorts, report: TrackReport, freed_by: str) -> None:
    """Announce what waited for the slot that a run of the task `freed_by` has just freed."""
    free = ports.cap - len(ports.runs.slots())
    if free > 0:
        _trigger(ports, report, free, _tasks(ports), ports.runs.all_states(), freed_by)


def _trigger(
    ports: TrackPorts,
    report: TrackReport,
    free: int,
    tasks: Mapping[str, TaskEntry],
    states: Mapping[str, TaskState],
    freed_by: str | None = None,
) -> None:
    """Announce what is due, if a slot is free: of the queue as many as there are free slots, who
    waits longest first, and all that is not in the queue, for its announcement may be lost. If a
    run of `freed_by` has just freed its slot: of the latter only the task itself."""
    if free <= 0:
        return
    now = ports.now()
    found = [
        state
        for name, state in states.items()
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


def _take_in(ports: TrackPorts, name: str, heard: Heard) -> TrackReport:
    report, driver = TrackReport(), ports.drivers[name]
    run, state = ports.heard_of.run_and_state(heard.task, heard.run)
    if run is not None and run.driver == name:
        news = driver.news(run, heard)
        if isinstance(news, HasEnded | NeverBegan):  # whoever gave it up settles it
            _follow(ports, driver, run, state, news, report)
        elif isinstance(news, GoesOn) and news.waits:
            _wait(ports, driver, run, state, news, report)
    if report.settled:
        _trigger_waiting(ports, report, heard.task)
    return report


def _ask(ports: TrackPorts, state: TaskState, running: Running, report: TrackReport) -> None:
    """Ask the driver for a run that no news came from."""
    run = ports.settling.tasks.run(state.task, running.run) or as_state_knows(state, running)
    driver = settle.driver_of(ports.drivers, run.driver, f"processing run {run.id}")
    if needs_renewal(run, ports.now()):
        report.attempt(_renew, ports, run)
    news = driver.news(run)
    if isinstance(news, GoesOn):
        _wait(ports, driver, run, state, news, report)
    else:
        _follow(ports, driver, run, state, news, report)


def _wait(
    ports: TrackPorts, driver: Driver, run: Run, state: TaskState, news: GoesOn, report: TrackReport
) -> None:
    """A run that waits for people occupies no slot, and is given up if what it would apply is out
    of date."""
    is_over = news.waits and _is_out_of_date(ports, state)
    if is_over and settle.give_up(ports.settling, driver, run, None):
        _ended(ports, run, report)
        return
    if news.waits != (run.waits or ""):
        ports.runs.record_build(replace(run, waits=news.waits))
    if state.running and state.running.waits != news.waits:
        settle.wait(ports.settling, run, news)
    if news.waits:
        ports.runs.free_slot(run.id)


def _is_out_of_date(ports: TrackPorts, state: TaskState) -> bool:
    """Whether there is a newer change. One that destroys: whether its task is to be kept."""
    if state.running is not None and state.running.destroys:
        entry = _tasks(ports).get(state.task)
        return entry is None or entry.leaving != state.leaving
    change = state.wanted.get(Reason.CHANGE)
    return change is not None and change.due_at <= ports.now()


def _renew(ports: TrackPorts, run: Run) -> None:
    """Whether it still runs is asked later: a driver that is down must not end its builds."""
    ports.settling.sessions.renew(run)
    ports.runs.record_build(replace(run, renewed_at=ports.now()))


def _follow(
    ports: TrackPorts, driver: Driver, run: Run, state: TaskState, news: News, report: TrackReport
) -> None:
    """Do what follows from the news of a run."""
    match news:
        case NotStarted():
            _start_again(ports, driver, run, news.archive, report)
        case NeverBegan():
            its = replace(run, build=news.build)
            if settle.give_up(ports.settling, driver, its, news.end):
                _ended(ports, its, report)
        case HasEnded():
            its = replace(run, build=news.build)
            if ended := settle.settle(ports.settling, its, news.end, state):
                report.settled.append(ended)
        case GivenUp():
            settle.given_up(ports.settling, run, news.end)
            _ended(ports, run, report)


def _start_again(
    ports: TrackPorts, driver: Driver, run: Run, archive: bytes, report: TrackReport
) -> None:
    """The runner died around its start. What was started twice runs once."""
    try:
        ports.settling.sessions.open(run, archive)
        ports.runs.record_build(replace(run, build=driver.start(run, archive)))
        report.restarted.append(run.id)
    except Unavailable:
        return  # the next sweep tries again
    except Refused as error:
        if settle.give_up(ports.settling, driver, run, settle.refused(error)):
            _ended(ports, run, report)


def _ended(ports: TrackPorts, run: Run, report: TrackReport) -> None:
    report.settled.append(ports.settling.tasks.run(run.task, run.id) or run)
