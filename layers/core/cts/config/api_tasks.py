"""What people have made of tasks through the API, which is laid over what was pushed.

A task that was created through the API is in force while no push defines its name. What was set of
a pushed task is in force until a push changes the same fields; that one was deleted, until a push
changes anything of it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cts.config.blocks.model import Configuration, Task
from cts.config.blocks.options import Findings
from cts.config.task_change import Changed, ChangeOutcome, Object, TaskChange, Verb
from cts.config.task_object import DEFAULTS, as_file, shown
from cts.config.text.read import read
from cts.stored import load


@dataclass(frozen=True, slots=True)
class ApiTask:
    """What is stored for one task."""

    name: str
    task: Object = field(default_factory=dict)
    """The task that was created; empty: none was."""
    draft_until: float | None = None
    """Until when `task` is a draft: a plan for it may be made, and nothing applied."""
    fields: Object = field(default_factory=dict)
    """What was set of the pushed task."""
    deleted: bool = False
    """Whether the pushed task was deleted."""
    over: Object = field(default_factory=dict)
    """What the push said of these fields; of a task that is deleted, or leaves, of all fields."""
    by: str = ""
    """The person who changed it last, as an ARN."""
    at: float = 0.0
    """When `task` was created."""
    changed_at: float = 0.0
    """When it was changed last: what is said again later is another change, by its version."""
    leaving: str = ""
    """The request to delete it once a run has destroyed what its runs have created, by its ID;
    empty: it stays."""

    @property
    def is_over_pushed(self) -> bool:
        return bool(self.over)

    @property
    def is_over_all(self) -> bool:
        """Whether it is in force until a push changes anything of the pushed task."""
        return self.deleted or bool(self.leaving)

    @property
    def says(self) -> bool:
        """Whether it is worth storing."""
        return bool(self.task) or self.is_over_pushed

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "ApiTask":
        """Raises ValueError."""
        return load(cls, json.loads(body))


@dataclass(frozen=True, slots=True)
class StoredTask:
    """`version` identifies what was read: writing is conditional on it."""

    task: ApiTask
    version: str


Tasks = Mapping[str, StoredTask]


def size_of(tasks: Tasks) -> dict[str, int]:
    """Bytes, by the names that problems have for the objects."""
    return {place(name): len(each.task.to_json()) for name, each in tasks.items()}


def place(name: str) -> str:
    """How problems name the object, as a file."""
    return f"api/{name}.json"


def is_place(file: str) -> bool:
    """Whether problems mean such an object. Files of a configuration are in no folder."""
    return file.startswith("api/")


def unexpired(tasks: Tasks, now: float) -> dict[str, StoredTask]:
    """Without expired drafts. What is left of one has another version."""
    kept: dict[str, StoredTask] = {}
    for name, each in tasks.items():
        if each.task.draft_until is None or each.task.draft_until > now:
            kept[name] = each
        elif each.task.is_over_pushed:
            kept[name] = StoredTask(without_task(each.task), f"{each.version} without its draft")
    return kept


def without_drafts(tasks: Tasks) -> dict[str, StoredTask]:
    return unexpired(tasks, math.inf)


def as_told(tasks: Tasks) -> list[dict[str, Any]]:
    """What `of_told` reads: all but drafts, which are not tasks yet."""
    kept = without_drafts(tasks).values()
    return [{"version": each.version, "task": asdict(each.task)} for each in kept]


def of_told(told: list[Mapping[str, Any]]) -> dict[str, StoredTask]:
    """Raises ValueError."""
    found = [StoredTask(load(ApiTask, each["task"]), each["version"]) for each in told]
    return {each.task.name: each for each in found}


def without_task(task: ApiTask) -> ApiTask:
    return replace(task, task={}, draft_until=None)


# ---- over what was pushed -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layered:
    configuration: Configuration
    findings: Findings
    drafts: frozenset[str]
    created: frozenset[str]
    leaving: Mapping[str, str]
    """By task, the ID of the request to destroy it. It is disabled."""
    gone: Mapping[str, str]
    """By task, the versions of changes that a push has ended."""


def layered(
    pushed: Configuration, final: Configuration, tasks: Tasks, gone: Mapping[str, str]
) -> Layered:
    """`pushed`: what was merged of the bundle's files. `final`: the same with defaults. `gone`: as
    of the generation before."""
    found, made = Findings(), objects(pushed, final) if tasks else {}
    ended = {
        name: each.version
        for name, each in tasks.items()
        if is_ended(each, made.get(name, {}), gone.get(name, ""))
    }
    kept, set_, new = list[Task](), list[ApiTask](), list[ApiTask]()
    for task in pushed.tasks:
        stored = tasks.get(task.name or "")
        if stored is None or task.name in ended or not stored.task.is_over_pushed:
            kept.append(task)
        elif not stored.task.deleted:
            set_.append(stored.task)
            kept.append(_changed(task, stored.task, found))
        elif stored.task.task:
            new.append(stored.task)
    new += [each.task for name, each in tasks.items() if each.task.task and name not in made]
    for each in sorted(new, key=lambda task: (task.at, task.name)):
        kept.extend(_read(each.task, each.name, found))
    drafts = frozenset(each.name for each in new if each.draft_until is not None)
    created = frozenset(each.name for each in new) - drafts
    leaving = {each.name: each.leaving for each in (*set_, *new) if each.leaving}
    left = (replace(each, enabled=False) if each.name in leaving else each for each in kept)
    return Layered(replace(pushed, tasks=tuple(left)), found, drafts, created, leaving, ended)


def objects(pushed: Configuration, final: Configuration) -> dict[str, Object]:
    """The Task objects of a configuration, by name."""
    both = zip(final.tasks, pushed.tasks, strict=True)
    return {task.name: shown(task, written) for task, written in both}


def is_ended(stored: StoredTask, pushed: Object, gone: str) -> bool:
    """Whether a push, now or earlier, has changed what it was laid over."""
    change = stored.task
    if not change.is_over_pushed:
        return False
    names = pushed.keys() | change.over.keys() if change.is_over_all else change.fields.keys()
    is_other = any(pushed.get(name) != change.over.get(name) for name in names)
    return not pushed or is_other or stored.version == gone


def _changed(task: Task, change: ApiTask, found: Findings) -> Task:
    """The pushed task with the fields that were set."""
    [given] = _read({"name": change.name, **change.fields}, change.name, found)
    return replace(task, **{name: getattr(given, name) for name in change.fields})


def _read(task: Object, name: str, found: Findings) -> tuple[Task, ...]:
    configuration, findings = read(as_file(task), place(name))
    found.problems.extend(findings.problems)
    found.warnings.extend(findings.warnings)
    return configuration.tasks


# ---- what people ask for ------------------------------------------------------------------


def decided(
    change: TaskChange, stored: StoredTask | None, pushed: Object | None, gone: str
) -> ApiTask | Changed:
    """What is to be stored, or why the change can't be made. It may say nothing: then nothing needs
    to be stored.

    `pushed`: the Task object as it was pushed.
    """
    now = stored.task if stored else ApiTask(change.name)
    if stored and is_ended(stored, pushed or {}, gone):
        now = replace(now, fields={}, deleted=False, over={}, leaving="")
    made = now if _is_obsolete(change, now) else _decided(change, now, pushed)
    if isinstance(made, Changed) or made == now:
        return made
    return replace(made, by=change.by, changed_at=change.at)


def _is_obsolete(change: TaskChange, now: ApiTask) -> bool:
    """Whether the task is no longer what this change is about."""
    match change.verb:
        case Verb.DISCARD:
            made = {**change.fields, "name": change.name}
            return (now.task, now.at, now.leaving) != (made, change.at, "")
        case Verb.DESTROYED:
            return now.leaving != change.request
    return False


def _decided(change: TaskChange, now: ApiTask, pushed: Object | None) -> ApiTask | Changed:
    new = {**change.fields, "name": change.name}
    if change.verb is Verb.DISCARD:
        return without_task(now)
    own = now.task if now.draft_until is None else {}
    is_there = not now.deleted if pushed else bool(own)
    made = replace(now, task=own, draft_until=None, leaving="")
    is_new = change.verb in (Verb.CREATE, Verb.DRAFT)
    if is_new == is_there:
        return Changed(ChangeOutcome.EXISTS if is_new else ChangeOutcome.UNKNOWN)
    if change.verb in (Verb.DELETE, Verb.DESTROY, Verb.DESTROYED):
        return _gone(change, replace(made, over=pushed or {}))
    if change.verb is Verb.DRAFT and now.draft_until and (now.task, now.by) != (new, change.by):
        what = f"task {change.name} is being inspected by {now.by}, with another content"
        left = math.ceil((now.draft_until - change.at) / 60)
        fix = f"try again in {left} minutes at the latest, or create the task"
        return Changed(ChangeOutcome.INVALID, problems=(f"{what}: {fix}",))
    keeps = change.verb is Verb.SET
    if pushed and change.verb is not Verb.DRAFT:
        fields = {**made.fields, **change.fields} if keeps else _whole(change.fields)
        return _set(made, fields, pushed)
    task = {**own, **new} if keeps else new
    at = change.at if is_new else now.at
    return replace(made, task=task, draft_until=change.draft_until, at=at)


def _gone(change: TaskChange, made: ApiTask) -> ApiTask:
    """`made`: with what was pushed."""
    if change.verb is Verb.DESTROY:
        return replace(made, leaving=change.request)
    return replace(made, task={}, fields={}, deleted=bool(made.over))


def _whole(fields: Object) -> dict[str, Any]:
    return {**DEFAULTS, **fields}


def _set(made: ApiTask, fields: Object, pushed: Object) -> ApiTask:
    """Only what differs from what was pushed."""
    differ = {
        name: value
        for name, value in fields.items()
        if name != "name" and value != pushed.get(name)
    }
    over = {name: pushed.get(name) for name in differ}
    return replace(made, fields=differ, deleted=False, over=over)
