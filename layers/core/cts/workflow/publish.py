"""Turn the pushed bundle into the live generation, or report why not."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, Protocol

from cts.config.api_tasks import as_told
from cts.config.compile import CONTRACT, Compiled, generation
from cts.config.differences import differences, runs
from cts.config.rules.problem import Code, Place, Problem
from cts.generation import Attempt, Current, Generation, Rejected
from cts.ports import Bus, Generations, Published
from cts.run.pushed import held_by_push
from cts.run.state import TaskState
from cts.terraform.definition import Definition
from cts.workflow.announce import announce_pending, fitting, taken_over, version_of
from cts.workflow.counting import Metrics
from cts.workflow.to_publish import (
    CheckedPush,
    Sources,
    StoredTasks,
    ToPublish,
    changed_by,
    check,
    to_publish,
)

MOST_KEPT = 200
"""Maximum number of problems, and of warnings, to keep for a push."""
LARGEST_PROBLEMS, LARGEST_NAMES = 220_000, 40_000
"""Maximum bytes in all, and for each list of task names: a table item holds 400 KB, and an event
256 KB."""
LONGEST_TEXT = 300
MOST_CODES = 5
"""Maximum number of problem codes in a report."""
MOST_ATTEMPTS = 4
"""How often a check may begin and not come to its end: more often than Lambda invokes a function
for one event, in case it is killed for other reasons."""


class HeldTasks(Protocol):
    def state(self, task: str) -> TaskState: ...
    def put_state(self, state: TaskState) -> bool:
        """False if the state was written since."""


class Attempts(Protocol):
    def attempt(self) -> Attempt | None: ...
    def put_attempt(self, read: Attempt | None, new: Attempt) -> bool:
        """False if another publisher has begun since `read`."""


class PublishedObjects(Generations, Protocol):
    def put_generation(self, generation: Generation) -> str:
        """Returns the digest, which is part of the object's key."""

    def put_shown(self, tasks: list[dict[str, Any]]) -> str:
        """Put the Task objects of a generation, or what people have made of them. Returns their
        digest."""

    def put_compiled(
        self, definitions: Collection[Definition], modules: Mapping[str, bytes]
    ) -> None:
        """Put definitions, and module archives by digest. All are stored when this returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPorts:
    sources: Sources
    api_tasks: StoredTasks
    attempts: Attempts
    published: Published
    tasks: HeldTasks
    objects: PublishedObjects
    bus: Bus
    now: Callable[[], float]
    environment: Mapping[str, str]
    """The environment variables that CTS would have."""
    metrics: Metrics


class PublishOutcome(StrEnum):
    NOTHING_PUSHED = "nothing has been pushed yet"
    KNOWN = "this push has already been processed"
    BEING_CHECKED = "other publishers are checking this push"
    PUBLISHED = "published"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class PublishReport:
    outcome: PublishOutcome
    problem_count: int = 0
    codes: tuple[str, ...] = ()
    """The codes of the first problems."""


def publish(ports: PublishPorts, seconds: float, by: str = "") -> PublishReport:
    """Publish the newest bundle, and what people have made of tasks through the API, unless that
    has been done. Then send unannounced events. They come last, so that a bus that is down does
    not delay a push. Safe to call at any time.

    `seconds`: after which this publisher will have ended. `by`: the person who has made a change
    through the API of which no object may be left.
    """
    report = _answered(ports, ports.now() + seconds, by)
    announce_pending(ports.published, ports.bus, ports.metrics)
    return report


def _answered(ports: PublishPorts, until: float, by: str) -> PublishReport:
    """Another generation was published first: read and compile everything again."""
    while True:
        read = to_publish(ports, again=True)
        if read is None:
            return PublishReport(PublishOutcome.NOTHING_PUSHED)
        current, rejected, sources = read.current, read.rejected, read.sources
        if _answers(current, sources) or _answers(rejected, sources):
            return PublishReport(PublishOutcome.KNOWN)
        checked = _attempted(ports, read, until)
        if checked is None:
            return PublishReport(PublishOutcome.BEING_CHECKED)
        problems = checked.problems
        if checked.compiled is None or problems:
            if _reject(ports, rejected, sources, problems):
                codes = tuple(problem.code.value for problem in problems[:MOST_CODES])
                return PublishReport(PublishOutcome.REJECTED, len(problems), codes)
        elif _accept(ports, read, checked, by):
            return PublishReport(PublishOutcome.PUBLISHED)


def _answers(answer: Current | Rejected | None, sources: Mapping[str, str]) -> bool:
    return answer is not None and answer.sources == sources and answer.contract == CONTRACT


def _attempted(ports: PublishPorts, push: ToPublish, until: float) -> CheckedPush | None:
    """Check the push. The attempt is recorded first: a push that takes more memory or time than a
    publisher has is rejected in the end. None if others, who may live, have tried often enough."""
    sources = push.sources
    while True:
        read, now = ports.attempts.attempt(), ports.now()
        is_same = read is not None and read.sources == sources and read.contract == CONTRACT
        count = read.count if read and is_same else 0
        if read and count >= MOST_ATTEMPTS:
            return CheckedPush((_deadly(count),)) if now >= read.until else None
        if ports.attempts.put_attempt(read, Attempt(sources, CONTRACT, now, until, count + 1)):
            break
    checked = check(push, ports.environment)
    _survived(ports, sources)
    return checked


def _deadly(count: int) -> Problem:
    what = f"the check of this push ended the publisher {count} times: it took all memory or time"
    fix = "push less at once, in fewer and smaller files"
    return Problem(Place("bundle"), "", Code.OVER_LIMIT, what, fix)


def _survived(ports: PublishPorts, sources: Mapping[str, str]) -> None:
    """What may still fail has other reasons than the push, and is tried until it succeeds."""
    while (read := ports.attempts.attempt()) and read.count and read.sources == sources:
        if ports.attempts.put_attempt(read, replace(read, count=0)):
            return


def _accept(
    ports: PublishPorts,
    read: ToPublish,
    checked: CheckedPush,
    by: str,
) -> bool:
    """Tasks are held before the generation that names them is live."""
    compiled, current, sources = checked.compiled, read.current, read.sources
    assert compiled is not None
    former = ports.objects.generation(current) if current else None
    _hold(ports, _to_hold(checked, former, current, sources), version_of(sources))
    number = current.number + 1 if current else 1
    made = generation(
        compiled,
        number,
        sources,
        former=current.digest if current else "",
        shown=ports.objects.put_shown(compiled.shown),
        changes=ports.objects.put_shown(told) if (told := as_told(read.tasks)) else "",
    )
    ports.objects.put_compiled(*_new(compiled, former))
    changes = differences(runs(former) if former else {}, runs(made))
    new = Current(
        number=number,
        digest=ports.objects.put_generation(made),
        contract=CONTRACT,
        sources=dict(sources),
        published_at=ports.now(),
        added=fitting(changes.added, LARGEST_NAMES),
        changed=fitting(changes.changed, LARGEST_NAMES),
        removed=fitting(changes.removed, LARGEST_NAMES),
        warnings=_kept(checked.warnings),
        unannounced=[f"{version_of(sources)}/{number}/ConfigPublished"],
        owed=taken_over(current),
        gone=compiled.gone,
        by=sorted({*changed_by(read), *([by] if by else [])}),
    )
    return ports.published.put_current(current, new)


def _to_hold(
    checked: CheckedPush,
    former: Generation | None,
    current: Current | None,
    sources: Mapping[str, str],
) -> Collection[str]:
    """Of a push that is live already only the tasks that did not run before."""
    is_live = current is not None and version_of(current.sources) == version_of(sources)
    known = former.tasks.keys() if former and is_live else set[str]()
    tasks = checked.compiled.tasks.keys() if checked.compiled else set[str]()
    return (checked.held & tasks) - known


def _hold(ports: PublishPorts, tasks: Collection[str], push: str) -> None:
    for task in sorted(tasks):
        while True:
            state = ports.tasks.state(task)
            after = held_by_push(state, push, ports.now())
            if after == state or ports.tasks.put_state(after):
                break


def _new(
    compiled: Compiled, former: Generation | None
) -> tuple[list[Definition], dict[str, bytes]]:
    """The definitions that the former generation does not have, and their modules. Everything it
    refers to was stored before it went live, and is never changed."""
    known = set()
    if former is not None:
        known = {task.definition for task in former.tasks.values()}
        known |= {task.definition for task in former.waiting.values()}
    new = [each for digest, each in compiled.definitions.items() if digest not in known]
    modules = {each.module.digest for each in new}
    return new, {digest: body for digest, body in compiled.modules.items() if digest in modules}


def _reject(
    ports: PublishPorts,
    read: Rejected | None,
    sources: Mapping[str, str],
    problems: Collection[Problem],
) -> bool:
    new = Rejected(
        sources=dict(sources),
        contract=CONTRACT,
        rejected_at=ports.now(),
        problem_count=len(problems),
        problems=_kept(problems),
        unannounced=[f"{version_of(sources)}/{CONTRACT}/ConfigRejected"],
        owed=taken_over(read),
    )
    return ports.published.put_rejected(read, new)


def _kept(problems: Collection[Problem]) -> list[dict[str, Any]]:
    first = (_plain(problem) for problem in islice(problems, MOST_KEPT))
    return fitting(first, LARGEST_PROBLEMS)


def _plain(problem: Problem) -> dict[str, Any]:
    """The problem as JSON, with long texts cut."""
    facts = problem.as_json()
    return {
        name: value[:LONGEST_TEXT] if isinstance(value, str) else value
        for name, value in facts.items()
    }
