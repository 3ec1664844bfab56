"""Record how builds end, and sweep: whatever an event was lost for is found here every minute."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cts.errors import Refused, Unavailable, Upstream
from cts.events import BuildEnded
from cts.run.model import End, Run, RunStatus
from cts.run.task import TaskState, due
from cts.terraform.definition import Current, Generation, Rejected
from cts.workflow import settle
from cts.workflow.announce import announce_current, announce_rejected

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


class Published(Protocol):
    def current(self) -> Current | None: ...
    def put_current(self, read: Current | None, new: Current) -> bool: ...
    def rejected(self) -> Rejected | None: ...
    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool: ...


class Objects(Protocol):
    def generation(self, current: Current) -> Generation: ...
    def run_object(self, task: str, run: str, name: str) -> bytes | None: ...
    def archive_version(self, task: str, run: str) -> str | None: ...


class Driver(Protocol):
    def start(self, run: Run, archive_version: str) -> str: ...
    def status(self, build: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    settling: settle.Ports
    runs: Runs
    published: Published
    objects: Objects
    driver: Driver
    now: Callable[[], float]


@dataclass(slots=True)
class Report:
    """What was found, for logs and metrics."""

    settled: list[Run] = field(default_factory=list)
    triggered: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> Iterator[tuple[str, str, float]]:
        """Name, unit and value of each."""
        ends = [run.status for run in self.settled]
        yield "RunsSucceeded", "Count", sum(status.succeeded for status in ends)
        yield "RunsFailed", "Count", ends.count(RunStatus.ERRORED)
        for run in self.settled:
            if run.ended_at is not None:
                yield "RunSeconds", "Seconds", run.ended_at - run.claimed_at
            if run.ended_at is not None and run.status.succeeded:
                yield "ChangeToAppliedSeconds", "Seconds", run.ended_at - run.since


def track(ports: Ports, news: BuildEnded) -> Report:
    """Take in a build's end. Late or repeated news changes nothing."""
    report = Report()
    run = ports.settling.tasks.run(news.task, news.run_id)
    if run is not None and news.status in ENDED:
        _settle(ports, run, news.build, news.status, report)
    if report.settled:
        _trigger(ports, ports.runs.all_states(), report, freed_by=news.task)
    return report


def sweep(ports: Ports) -> Report:
    """Find what no event told: due and not running, running without news, announcements not
    sent, slots that ended runs hold. What fails for one task is raised after all others."""
    report = Report()
    slots = ports.runs.slots()  # before the states: what is claimed after this is not freed
    states = ports.runs.all_states()
    errors = [error for state in states.values() if (error := _look_after(ports, state, report))]
    running = {state.running.run for state in states.values() if state.running}
    for run_id in slots - running:
        ports.runs.free_slot(run_id)
    _trigger(ports, ports.runs.all_states(), report)
    _announce_configuration(ports)
    if errors:
        raise errors[0]
    return report


def _look_after(ports: Ports, state: TaskState, report: Report) -> Upstream | None:
    try:
        if state.running is not None:
            _ask(ports, state, report)
        if state.unannounced:
            settle.announce(ports.settling, state)
    except Upstream as error:
        return error
    return None


def _announce_configuration(ports: Ports) -> None:
    current = ports.published.current()
    if current and current.unannounced:
        announce_current(ports.published, ports.settling.bus, current)
    rejected = ports.published.rejected()
    if rejected and rejected.unannounced:
        announce_rejected(ports.published, ports.settling.bus, rejected)


def _trigger(
    ports: Ports, states: Mapping[str, TaskState], report: Report, freed_by: str | None = None
) -> None:
    """Announce what is due, whoever waits longest for a slot first. If a run of `freed_by` has
    just freed its slot: only who waits longest, and the task itself."""
    current = ports.published.current()
    if current is None:
        return
    tasks = ports.objects.generation(current).tasks
    now = ports.now()
    found = [
        state
        for name, state in states.items()
        if name in tasks and due(state, tasks[name].enabled, now)
    ]
    found.sort(key=lambda state: state.queued_since or now)
    if freed_by is not None:
        found = [state for n, state in enumerate(found) if n == 0 or state.task == freed_by]
    if found:
        ports.settling.bus.send([settle.triggered(state) for state in found])
    report.triggered += [state.task for state in found]


# ---- one run ------------------------------------------------------------------------------


def _ask(ports: Ports, state: TaskState, report: Report) -> None:
    """Ask the driver for a run that no news came from."""
    assert state.running is not None
    if ports.now() - state.running.claimed_at < NEWS_AFTER:
        return
    run = ports.settling.tasks.run(state.task, state.running.run)
    if run is None:
        return
    started = _record(ports, run, "started")
    if started is not None and started["build"] is None:
        settle.given_up(ports.settling, run, started)
        _ended(ports, run, report)
        return
    build = started["build"] if started else run.build
    if build is None:
        _start_again(ports, run, report)
        return
    status = ports.driver.status(build)
    if status is None or status in ENDED:
        _settle(ports, run, build, status or "unknown to CodeBuild", report)


def _start_again(ports: Ports, run: Run, report: Report) -> None:
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


def _settle(ports: Ports, run: Run, build: str, status: str, report: Report) -> None:
    started = _record(ports, run, "started")
    if started is None:
        _never_began(ports, run, build, status, report)
        return
    if started.get("build") != build:
        return  # another build is this run's
    applying = ports.objects.run_object(run.task, run.id, "applying") is not None
    end = end_of(_record(ports, run, "result.json"), applying, status)
    _finished(ports, run, end, report)


def _never_began(ports: Ports, run: Run, build: str, status: str, report: Report) -> None:
    error = f"build {build} ended as {status} before its first command"
    end = End(RunStatus.ERRORED, apply_began=False, error=error)
    if settle.give_up(ports.settling, run, end):
        _ended(ports, run, report)


def _finished(ports: Ports, run: Run, end: End, report: Report) -> None:
    if settle.settle(ports.settling, run, end) is not None:
        _ended(ports, run, report)


def _ended(ports: Ports, run: Run, report: Report) -> None:
    report.settled.append(ports.settling.tasks.run(run.task, run.id) or run)


def _record(ports: Ports, run: Run, name: str) -> Mapping[str, Any] | None:
    """One of the build's records; None if there is none, or none that can be read."""
    try:
        record = json.loads(ports.objects.run_object(run.task, run.id, name) or b"null")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


STATUSES = {
    "applied": RunStatus.APPLIED,
    "unchanged": RunStatus.UNCHANGED,
    "errored": RunStatus.ERRORED,
}


def end_of(result: Mapping[str, Any] | None, applying: bool, status: str) -> End:
    """What a build's own records say, given CodeBuild's word for how it ended."""
    if result is None or result.get("status") not in STATUSES:
        where = "while it applied" if applying else "before its apply began"
        return End(
            RunStatus.ERRORED,
            apply_began=applying,
            error=f"the build ended as {status} {where}, without a result",
        )
    return End(
        status=STATUSES[result["status"]],
        apply_began=applying,
        error=result.get("error"),
        retryable=result.get("retryable", True),
        step=result.get("step"),
        counts=result.get("counts"),
        terraform=result.get("terraform"),
        times=result.get("at") or {},
    )
