"""What a configuration compiles to: a definition per task, and the generation that names them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from cts.watch.query import ServicesCondition, View


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
class Definition:
    """What a task applies. Immutable; named by the digest of its meaning, so that comments,
    formatting, a description, or a new version of this program run nothing."""

    task: str
    module: Module
    condition: ServicesCondition
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The module's variables by name, as JSON values."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:32]

    def to_json(self) -> str:
        return json.dumps(asdict(self, dict_factory=_filled), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Definition":
        raw = json.loads(text)
        return cls(
            task=raw["task"],
            module=Module(**raw["module"]),
            condition=_condition(raw["condition"]),
            variables=raw.get("variables", {}),
        )


def _filled(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Empty fields carry no meaning: one added later leaves the digests of today as they are."""
    return {key: value for key, value in items if value not in (None, (), {})}


def _condition(raw: Mapping[str, Any]) -> ServicesCondition:
    return ServicesCondition(tuple(raw.get("names", ())), raw.get("regexp"))


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
class Generation:
    """One accepted configuration."""

    number: int
    contract: int
    """The compiler's contract number; a newer compiler publishes the same sources again."""
    sources: Mapping[str, str]
    """Object key -> version id of everything it was compiled from."""
    tasks: Mapping[str, TaskEntry]

    @property
    def fixed_views(self) -> frozenset[View]:
        return frozenset(
            view for task in self.tasks.values() for view in task.condition.fixed_views
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Generation":
        raw = json.loads(text)
        return cls(**{**raw, "tasks": {name: _entry(task) for name, task in raw["tasks"].items()}})


def _entry(raw: dict[str, Any]) -> TaskEntry:
    buffer = raw["buffer"]
    return TaskEntry(
        definition=raw["definition"],
        condition=_condition(raw["condition"]),
        description=raw["description"],
        enabled=raw["enabled"],
        buffer=BufferPeriod(*buffer) if buffer else None,
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
