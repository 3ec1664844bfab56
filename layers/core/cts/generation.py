"""A compiled configuration, and the results of the last pushes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from cts.conditions.condition import Condition
from cts.conditions.stored import is_known, read_condition, read_input, written
from cts.stored import LATER, known_fields, load

FORMER = "former generation"
"""The key among a generation's sources that names the previous generation: the first release does
not accept new fields, but it accepts any source."""
FORMER_STATE = "state of a former CTS"
"""In the same way, where in Consul's KV it would be."""
SHOWN = "tasks as the API shows them"
"""In the same way, the digest of their object."""
CHANGES = "changes of tasks through the API"
"""In the same way, the digest of their object."""
IN_SOURCES = {"former": FORMER, "former_state": FORMER_STATE, "shown": SHOWN, "changes": CHANGES}
WRITTEN_IF_SET = (
    "workspace", "inputs", "events", "required_version", "draft", "created", "lane", "leaving",
)  # fmt: skip
DRIVER = "terraform"
"""The driver of an entry without one."""


class BufferPeriod(NamedTuple):
    """Seconds to wait for a burst of changes to end: `min` after each one, `max` in all."""

    min: float
    max: float


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task in a generation: its definition, and settings that can change without a run."""

    definition: str
    """The definition's digest."""
    condition: Condition
    description: str = ""
    enabled: bool = True
    buffer: BufferPeriod | None = None
    driver: str = DRIVER
    """The name of the driver that executes its runs."""
    workspace: str = ""
    """HCP Terraform's, if that executes them: host, organization and name, as
    `app.terraform.io/acme/net-web`. Earlier versions of this program left out the host."""
    inputs: tuple[Condition, ...] = ()
    """Module inputs: their changes are in its next run and trigger none."""
    events: tuple[str, ...] = ()
    """What triggers it, of what happens to what its condition looks at (`watch/happened.py`
    `Happened`); empty: all."""
    required_version: str = ""
    """Which versions of Terraform its local module allows, as the module says it. Not in the
    definition: a new version of this program that reads more of a module must run nothing."""
    draft: bool = False
    """Whether it is not a task yet: it is there for a plan that a person wants to see first."""
    created: bool = False
    """Whether it was created through the API, and no push defines it."""
    lane: str = ""
    """`warm` or `build`: where its runs are executed; empty: `run/lane.py` chooses."""
    leaving: str = ""
    """The request to delete it with what its runs have created, by its ID; empty: it stays. It is
    not enabled then (`run/leaving.py`)."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that says which views it needs."""
        return (self.condition, *self.inputs)

    @property
    def home(self) -> str:
        """Where its Terraform state belongs, as in a task's state (`run/home.py`)."""
        return self.workspace or self.driver


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that is accepted and compiled but needs something that is not supported yet."""

    definition: str
    reasons: tuple[str, ...]
    created: bool = False
    """As in TaskEntry."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One accepted configuration."""

    number: int
    contract: int
    """The compiler's contract number. A newer compiler publishes the same sources again."""
    sources: Mapping[str, str]
    """Everything it was compiled from: version IDs by object key."""
    tasks: Mapping[str, TaskEntry]
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Tasks that are not watched or run."""
    former: str = ""
    """The digest of the generation that this one replaced."""
    former_state: str = ""
    """The path in Consul's KV below which CTS keeps the states of these tasks by default; empty if
    the configuration names a backend."""
    shown: str = ""
    """The digest of the tasks as the API shows them; empty: made by an earlier version."""
    changes: str = ""
    """The digest of what people have made of tasks through the API; empty: there is nothing."""

    @property
    def listed(self) -> Mapping[str, TaskEntry]:
        """The tasks that people see."""
        return {name: entry for name, entry in self.tasks.items() if not entry.draft}

    def state_in_consul(self, task: str) -> str:
        """The key of CTS's state for the task; empty if the configuration names a backend."""
        return f"{self.former_state}-env:{task}" if self.former_state else ""

    def to_json(self) -> str:
        tasks = {name: _written(entry) for name, entry in self.tasks.items()}
        waiting = {name: _written_waiting(each) for name, each in self.waiting.items()}
        facts = _facts(self) | {"tasks": tasks, "waiting": waiting}
        for name, key in IN_SOURCES.items():
            if value := facts.pop(name):
                facts["sources"] = {**facts["sources"], key: value}
        return json.dumps(facts, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Generation":
        """Leaves out tasks whose conditions this version does not know."""
        raw = known_fields(cls, json.loads(text))
        sources = dict(raw["sources"])
        apart = {name: sources.pop(key, raw.get(name, "")) for name, key in IN_SOURCES.items()}
        waiting = {name: load(Waiting, each) for name, each in raw.get("waiting", {}).items()}
        tasks = {
            name: _entry(task)
            for name, task in raw["tasks"].items()
            if all(map(is_known, (task["condition"], *task.get("inputs", ()))))
        }
        return cls(**raw | apart | {"sources": sources, "tasks": tasks, "waiting": waiting})


def _facts(of: Generation | TaskEntry) -> dict[str, Any]:
    return {f.name: getattr(of, f.name) for f in fields(of)}


def _written_waiting(entry: Waiting) -> dict[str, Any]:
    """The first release takes no new field."""
    return {name: value for name, value in asdict(entry).items() if value or name != "created"}


def _written(entry: TaskEntry) -> dict[str, Any]:
    facts = _facts(entry) | {
        "condition": written(entry.condition),
        "inputs": [written(each) for each in entry.inputs],
    }
    # The first release takes no new field.
    if entry.driver == DRIVER:
        del facts["driver"]
    for name in WRITTEN_IF_SET:
        if not facts[name]:
            del facts[name]
    return facts


def _entry(raw: Mapping[str, Any]) -> TaskEntry:
    buffer = raw["buffer"]
    return TaskEntry(
        **known_fields(TaskEntry, raw)
        | {
            "condition": read_condition(raw["condition"]),
            "inputs": tuple(read_input(each) for each in raw.get("inputs", ())),
            "events": tuple(raw.get("events", ())),
            "buffer": BufferPeriod(*buffer) if buffer else None,
        }
    )


@dataclass(frozen=True, slots=True)
class Current:
    """Which generation is live."""

    number: int
    digest: str
    """The generation's digest: two publishers may use the same number."""
    contract: int
    sources: Mapping[str, str]
    published_at: float
    added: list[str]
    changed: list[str]
    removed: list[str]
    warnings: list[dict[str, Any]] = field(default_factory=list)
    unannounced: list[str] = field(default_factory=list)
    """IDs of events about it that have not been sent yet."""
    owed: list[dict[str, Any]] = field(default_factory=list, metadata=LATER)
    """Events about earlier generations that were not sent before this one replaced them."""
    gone: Mapping[str, str] = field(default_factory=dict, metadata=LATER)
    """Changes through the API that a push has ended: versions of their objects, by task."""
    by: list[str] = field(default_factory=list, metadata=LATER)
    """The people who have changed tasks through the API since the generation before, as ARNs."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last beginning of a push's check."""

    sources: Mapping[str, str]
    contract: int
    began_at: float
    until: float
    """When whoever began it will have ended."""
    count: int
    """How often a check has begun, and not come to its end. 0: one did."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The last rejected push, and why it was rejected."""

    sources: Mapping[str, str]
    contract: int
    rejected_at: float
    problem_count: int
    """The total; `problems` has only the first of them."""
    problems: list[dict[str, Any]]
    unannounced: list[str] = field(default_factory=list)
    owed: list[dict[str, Any]] = field(default_factory=list, metadata=LATER)
    """As in `Current`, but without problems."""
    extra: Mapping[str, Any] = field(default_factory=dict)
