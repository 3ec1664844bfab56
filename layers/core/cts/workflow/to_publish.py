"""What there is to publish: what was pushed, and what people have made of it through the API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cts import keys
from cts.config import bundle
from cts.config.api_tasks import ApiTask, StoredTask, Tasks, place, unexpired, without_drafts
from cts.config.compile import CONTRACT, Compiled, compile_bundle
from cts.config.limits import LARGEST_BUNDLE, OverLimit
from cts.config.moving import refused
from cts.config.rules.problem import Code, Place, Problem
from cts.errors import Missing
from cts.generation import Current, Rejected
from cts.ports import Published
from cts.workflow.announce import version_of

NO_FILES: bundle.Files = {"nothing-pushed.hcl": b""}


class StoredBundle(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def version(self) -> str: ...


class Sources(Protocol):
    def bundle(self, size: int, version: str = "") -> StoredBundle | None:
        """What is pushed, or was pushed as that version, up to that many bytes."""


class StoredTasks(Protocol):
    def all(self) -> Tasks: ...
    def put(self, task: ApiTask, read: StoredTask | None) -> bool:
        """False if it was written or deleted since it was read."""

    def delete(self, name: str, read: StoredTask) -> bool:
        """False if it was written since it was read."""


class Ports(Protocol):
    @property
    def sources(self) -> Sources: ...
    @property
    def api_tasks(self) -> StoredTasks: ...
    @property
    def published(self) -> Published: ...
    @property
    def now(self) -> Callable[[], float]: ...


@dataclass(frozen=True, slots=True)
class ToPublish:
    """What there is to publish, and what was made of the last of it."""

    bundle: StoredBundle | None
    tasks: Tasks
    current: Current | None
    rejected: Rejected | None

    @property
    def sources(self) -> dict[str, str]:
        pushed = {self.bundle.key: self.bundle.version} if self.bundle else {}
        return pushed | {keys.api_task(name): each.version for name, each in self.tasks.items()}

    @property
    def is_new_push(self) -> bool:
        """Whether its bundle is neither live nor rejected."""
        live = version_of(self.current.sources) if self.current else ""
        return self.bundle is not None and self.bundle.version != live

    @property
    def gone(self) -> Mapping[str, str]:
        return self.current.gone if self.current else {}


def to_publish(ports: Ports, *, again: bool = False) -> ToPublish | None:
    """None if nothing ever was. Raises Missing if what is live was pushed, and no push is left.

    `again`: also a push that was rejected for what people have since changed through the API.
    """
    current, rejected = ports.published.current(), ports.published.rejected()
    stored = ports.sources.bundle(LARGEST_BUNDLE + 1)
    tasks = unexpired(ports.api_tasks.all(), ports.now())
    live = version_of(current.sources) if current else ""
    waits = stored is None or (rejected is not None and _is_rejected(stored, rejected))
    if waits and again and stored and rejected and _may_pass_now(rejected, tasks):
        waits = False
    if current and waits:
        # It waits for a better push: changes through the API do not, while the live one is kept.
        stored = (ports.sources.bundle(LARGEST_BUNDLE + 1, live) or stored) if live else None
    if live and stored is None:
        raise Missing(keys.BUNDLE)
    if not (stored or tasks or current):
        return None
    return ToPublish(stored, dict(sorted(tasks.items())), current, rejected)


def changed_by(push: ToPublish) -> set[str]:
    """The people who have changed tasks through the API since the live generation."""
    live = push.current.sources if push.current else {}
    changed = (
        each for name, each in push.tasks.items() if each.version != live.get(keys.api_task(name))
    )
    return {each.task.by for each in changed if each.task.by}


def _is_rejected(stored: StoredBundle, rejected: Rejected) -> bool:
    return version_of(rejected.sources) == stored.version and rejected.contract == CONTRACT


def _may_pass_now(rejected: Rejected, tasks: Tasks) -> bool:
    """Whether one of the tasks that it was rejected for is gone, or another one now."""
    blamed = {str(each.get("file")) for each in rejected.problems}
    names = {key.removeprefix(keys.API_TASKS): key for key in rejected.sources}
    return any(
        name not in tasks or tasks[name].version != rejected.sources[key]
        for name, key in names.items()
        if place(name) in blamed
    )


@dataclass(frozen=True, slots=True)
class CheckedPush:
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    compiled: Compiled | None = None
    held: frozenset[str] = frozenset()
    """The tasks that this push holds."""


def check(push: ToPublish, environment: Mapping[str, str], asked: str = "") -> CheckedPush:
    """A draft that has problems is left out, so that it blocks no other change: nothing is applied
    for it, and it stays for minutes. `asked`: the task that the check is about, which is not."""
    checked = _checked(push, environment)
    files = {each.place.file for each in checked.problems}
    drafts = {
        name: each
        for name, each in push.tasks.items()
        if each.task.draft_until is not None and name != asked and place(name) in files
    }
    if not drafts:
        return checked
    others = {name: each for name, each in push.tasks.items() if name not in drafts}
    return _checked(replace(push, tasks=others | without_drafts(drafts)), environment)


def _checked(push: ToPublish, environment: Mapping[str, str]) -> CheckedPush:
    try:
        files = files_of(push)
        held = bundle.held(files)
    except OverLimit as error:
        return CheckedPush((error.problem,))
    except bundle.UnreadableBundle as error:
        what, fix = f"the pushed object is not a bundle: {error}", "use `cts push`"
        return CheckedPush((Problem(Place("the bundle"), "", Code.SYNTAX, what, fix),))
    result = compile_bundle(files, environment, push.tasks, push.gone)
    problems = (*result.problems, *refused(result.secrets))
    return CheckedPush(problems, result.warnings, result.compiled, held)


def files_of(push: ToPublish) -> bundle.Files:
    """The bundle's files. Raises UnreadableBundle or OverLimit."""
    return bundle.unpacked(push.bundle.body) if push.bundle else NO_FILES
