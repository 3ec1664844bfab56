"""What a configuration compiles to: a definition per task, and the generation that names them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from cts.stored import LATER, load
from cts.watch.query import (
    CatalogServicesCondition,
    Condition,
    Input,
    KvCondition,
    ScheduleCondition,
    ServicesCondition,
    View,
)

CONDITIONS: Mapping[str, type[Condition]] = {
    each.kind: each
    for each in (CatalogServicesCondition, KvCondition, ScheduleCondition, ServicesCondition)
}

FORMER = "former generation"
"""Where a generation's JSON names the one before it: the first release takes no new field, but any
source."""


class BufferPeriod(NamedTuple):
    """Seconds to wait for a burst to end: `min` after each change, `max` after the first."""

    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Module:
    """A task's module. `digest` names the archive of a local one in the work bucket."""

    source: str
    version: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of a task, as its `terraform_provider` block says. Values may be references to
    secrets, never secrets."""

    name: str
    alias: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    auto_commit: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of the task's Terraform."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a task applies. Immutable; named by the digest of its meaning, so that comments,
    formatting, a description, or a new version of this program run nothing."""

    task: str
    module: Module
    condition: Condition
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The module's variables by name, as JSON values."""
    constants: tuple[str, ...] = ()
    """Variables whose values the module wants to know at `init`."""
    inputs: tuple[Input, ...] = ()
    """Module inputs: what the module gets beside the condition's data."""
    providers: tuple[Provider, ...] = ()
    required_providers: Mapping[str, Any] = field(default_factory=dict)
    """Of the task's providers: source and version by name."""
    backend: Mapping[str, Any] = field(default_factory=dict)
    """`{type: options}`; empty: the stack's state bucket."""
    cloud: Mapping[str, Any] = field(default_factory=dict)
    """HCP Terraform's workspace; empty: a build of the stack."""
    vault: Mapping[str, str] = field(default_factory=dict)
    """Where the secrets of its providers are, if they are Vault's: address and namespace."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:32]

    def to_json(self) -> str:
        written = {f.name: getattr(self, f.name) for f in fields(self)} | {
            "module": asdict(self.module),
            "condition": _written(self.condition),
            "inputs": [_written(each) for each in self.inputs],
            "providers": [_filled(asdict(each)) for each in self.providers],
        }
        return json.dumps(_filled(written), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Definition":
        """Fields that this version doesn't know are left out: then `digest` is another one."""
        raw = _known(cls, json.loads(text))
        return cls(
            **raw
            | {
                "module": load(Module, raw["module"]),
                "condition": _condition(raw.get("condition", {})),
                "constants": tuple(raw.get("constants", ())),
                "inputs": tuple(_input(each) for each in raw.get("inputs", ())),
                "providers": tuple(load(Provider, each) for each in raw.get("providers", ())),
            }
        )


def _filled(fields_: Mapping[str, Any]) -> dict[str, Any]:
    """What is empty carries no meaning: a field added later leaves the digests of today alone."""
    return {name: value for name, value in fields_.items() if value}


def _written(condition: Condition) -> dict[str, Any]:
    """Options left at their default carry no meaning: one added later leaves the digests of
    today as they are. A condition on services needs no kind for the same reason."""
    kind = {} if isinstance(condition, ServicesCondition) else {"kind": condition.kind}
    options = {
        f.name: value
        for f in fields(condition)
        if (value := getattr(condition, f.name)) != f.default
    }
    if "others" in options:
        options["others"] = [_written(each) for each in options["others"]]
    return kind | options


def _known(kind: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: raw[f.name] for f in fields(kind) if f.name in raw}


def _condition(raw: Mapping[str, Any]) -> Condition:
    """Raises ValueError for a kind that this version doesn't know."""
    name = raw.get("kind", ServicesCondition.kind)
    if name not in CONDITIONS:
        raise ValueError(f"this version of the program knows no condition of the kind '{name}'")
    kind = CONDITIONS[name]
    options = {name: _hashable(value) for name, value in _known(kind, raw).items()}
    if "others" in raw:
        options["others"] = tuple(_condition(each) for each in raw["others"])
    return kind(**options)


def _hashable(value: Any) -> Any:
    return tuple(_hashable(each) for each in value) if isinstance(value, list) else value


def _input(raw: Mapping[str, Any]) -> Input:
    made = _condition(raw)
    if not isinstance(made, ServicesCondition | KvCondition):
        raise ValueError(f"a module input is of the kind '{made.kind}', which feeds no module")
    return made


def _services(raw: Mapping[str, Any]) -> ServicesCondition:
    made = _condition(raw)
    if not isinstance(made, ServicesCondition):
        raise ValueError(f"a task's condition is of the kind '{made.kind}', which watches nothing")
    return made


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task in a generation: its definition, and what may change without running it."""

    definition: str
    """The definition's digest."""
    condition: ServicesCondition
    description: str = ""
    enabled: bool = True
    buffer: BufferPeriod | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that was accepted and compiled, and needs what this version does not do yet."""

    definition: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """One accepted configuration."""

    number: int
    contract: int
    """The compiler's contract number; a newer compiler publishes the same sources again."""
    sources: Mapping[str, str]
    """Object key -> version id of everything it was compiled from."""
    tasks: Mapping[str, TaskEntry]
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Nothing watches or runs these."""
    former: str = ""
    """The digest of the generation that this one took the place of."""

    @property
    def fixed_views(self) -> frozenset[View]:
        return frozenset(
            view for task in self.tasks.values() for view in task.condition.fixed_views
        )

    def to_json(self) -> str:
        tasks = {
            name: asdict(entry) | {"condition": _written(entry.condition)}
            for name, entry in self.tasks.items()
        }
        written = asdict(self) | {"tasks": tasks}
        if former := written.pop("former"):
            written["sources"] = {**self.sources, FORMER: former}
        return json.dumps(written, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Generation":
        """Tasks whose conditions this version doesn't know are left out."""
        raw = _known(cls, json.loads(text))
        sources = dict(raw["sources"])
        former = sources.pop(FORMER, raw.get("former", ""))
        waiting = {name: load(Waiting, each) for name, each in raw.get("waiting", {}).items()}
        tasks = {
            name: _entry(task)
            for name, task in raw["tasks"].items()
            if _is_known(task["condition"])
        }
        read = {"sources": sources, "tasks": tasks, "waiting": waiting, "former": former}
        return cls(**raw | read)


def _is_known(condition: Mapping[str, Any]) -> bool:
    kinds = [each.get("kind", ServicesCondition.kind) for each in condition.get("others", ())]
    kind = condition.get("kind", ServicesCondition.kind)
    return kind == ServicesCondition.kind and CONDITIONS.keys() >= set(kinds)


def _entry(raw: Mapping[str, Any]) -> TaskEntry:
    buffer = raw["buffer"]
    return TaskEntry(
        **_known(TaskEntry, raw)
        | {
            "condition": _services(raw["condition"]),
            "buffer": BufferPeriod(*buffer) if buffer else None,
        }
    )


@dataclass(frozen=True, slots=True)
class Current:
    """Which generation is live."""

    number: int
    digest: str
    """Of the generation's object: two publishers may make one number."""
    contract: int
    sources: Mapping[str, str]
    published_at: float
    added: list[str]
    changed: list[str]
    removed: list[str]
    warnings: list[dict[str, Any]] = field(default_factory=list)
    unannounced: list[str] = field(default_factory=list)
    """Ids of events that are true of it and not yet sent."""
    owed: list[dict[str, Any]] = field(default_factory=list, metadata=LATER)
    """Events of former generations that were not sent before this one took their place."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The last push that was refused, and why."""

    sources: Mapping[str, str]
    contract: int
    rejected_at: float
    problem_count: int
    """Of all; the first of them are in `problems`."""
    problems: list[dict[str, Any]]
    unannounced: list[str] = field(default_factory=list)
    owed: list[dict[str, Any]] = field(default_factory=list, metadata=LATER)
    """As in `Current`, without their problems."""
    extra: Mapping[str, Any] = field(default_factory=dict)
