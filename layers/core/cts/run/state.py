"""The state of a task, as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from cts.run.lane import Needs
from cts.run.model import TERRAFORM
from cts.stored import LATER, load


class Reason(StrEnum):
    CHANGE = "change"
    SCHEDULE = "schedule"
    PERSON = "person"
    INSPECT = "inspect"
    """A person wants to see the plan."""
    MOVE = "move"
    """A person wants its Terraform state to be somewhere else."""
    DESTROY = "destroy"
    """A person wants it to be deleted, with all that its runs have created."""
    INSPECT_DESTROY = "inspect_destroy"
    """A person wants to see what that would destroy."""

    @property
    def later(self) -> bool:
        """Whether the first release does not know it (`stored.py`)."""
        return self in APART or self is Reason.DESTROY


APART = frozenset({Reason.INSPECT, Reason.MOVE, Reason.INSPECT_DESTROY})
"""Their runs apply nothing, so a hold does not stop them, and the last success stays what it is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One reason to run. A change names the trigger fingerprint that it was seen with, a tick its
    timetable."""

    since: float
    due_at: float
    correlation: str = ""
    fingerprint: str | None = None
    busy_since: float | None = field(default=None, metadata=LATER)
    """Since when its runs have found the state locked by someone else."""
    by: str = field(default="", metadata=LATER)
    """The person who asked, as an ARN; empty for all other reasons."""
    path: str = field(default="", metadata=LATER)
    """Of a move: where in Consul the state is to be, as in `TaskState.path`; empty: in the state
    bucket."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Here and below: what a newer version of this program wrote, to be written back."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last success, nothing applied after it."""

    run: str
    trigger: str
    inputs: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    run: str
    serves: Mapping[Reason, Wish]
    trigger: str
    inputs: str
    claimed_at: float
    before: Done | None
    retry: bool = field(default=False, metadata=LATER)
    """It tries again what failed before it: both are one outcome."""
    driver: str = field(default=TERRAFORM, metadata=LATER)
    """The driver that executes it."""
    keeps: str = field(default="", metadata=LATER)
    """The version of Terraform that the task keeps once this run applies: engine and version, as
    `terraform 1.9.8`."""
    home: str = field(default="", metadata=LATER)
    """Where the task's Terraform state is once it applies, as in `TaskState.home`."""
    waits: str = field(default="", metadata=LATER)
    """What it waits for that people can do something about (`run/news.py`)."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_apart(self) -> bool:
        return not APART.isdisjoint(self.serves)

    @property
    def destroys(self) -> bool:
        return Reason.DESTROY in self.serves


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one reason to run, after its retries; while it is retried, of the last try."""

    run: str
    success: bool
    ended_at: float
    error: str | None = None
    started_at: float | None = None
    counts: Mapping[str, int] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Former:
    """A run whose build is known to have ended: a state lock that it left behind is an orphan."""

    run: str
    ended_at: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """What keeps a task from running, or did."""

    why: str
    by: str
    """The holder: a person's ARN."""
    since: float
    released_at: float | None = None
    released_by: str = ""
    push: str = field(default="", metadata=LATER)
    """The version of the bundle that asked for it."""
    home: str = field(default="", metadata=LATER)
    """Where the task's Terraform state is once a person releases it, as in `TaskState.home`."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The version of Terraform that a person last asked for."""

    version: str
    """As in `Running.keeps`; empty: the one that a new task would get."""
    by: str
    """The person's ARN."""
    at: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskState:
    task: str
    version: int = 0
    """What every write is conditional on; the table counts it up."""
    wanted: Mapping[Reason, Wish] = field(default_factory=dict)
    running: Running | None = None
    done: Done | None = None
    failures: int = 0
    failed: str | None = None
    """The trigger fingerprint of the failures counted; None for those of runs that destroy."""
    retry_at: float | None = None
    gave_up: str | None = None
    hold: str | None = None
    """Why it is held, if it is; the first of `holds` says more."""
    queued_since: float | None = None
    unannounced: tuple[str, ...] = ()
    """Ids (`<run id>/<type>`, `<hold id>/<type>`) of events that are true and not yet sent."""
    recent: tuple[Outcome, ...] = ()
    former: tuple[Former, ...] = field(default_factory=tuple, metadata=LATER)
    """Newest first."""
    holds: tuple[Hold, ...] = field(default=(), metadata=LATER)
    """The last ones, newest first."""
    place: str = field(default="", metadata=LATER)
    """Where its Terraform state is (`run/place.py`); empty: not decided, or in the state bucket."""
    path: str = field(default="", metadata=LATER)
    """In Consul's KV, if it is there: the option `path` of the backend."""
    unplaced: str = field(default="", metadata=LATER)
    """Why its place can't be told, while something else holds the task."""
    home: str = field(default="", metadata=LATER)
    """Where its Terraform state is kept (`run/home.py`): `terraform`, by builds, or in a workspace
    of HCP Terraform, as `app.terraform.io/acme/net-web`; empty: nothing was applied yet."""
    terraform: str = field(default="", metadata=LATER)
    """The version of Terraform that it keeps, as in `Running.keeps`; empty: none yet."""
    upgrade: Upgrade | None = field(default=None, metadata=LATER)
    needs: Needs | None = field(default=None, metadata=LATER)
    leaving: str = field(default="", metadata=LATER)
    """The last request to delete it with what its runs have created (`run/leaving.py`), by its ID;
    empty: there was none."""
    destroyed: bool = field(default=False, metadata=LATER)
    """Whether a run has destroyed all that, as this request wants."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    unreadable: str = ""
    """The item's text if this program can't read it. The task is held then, and the text stays."""

    @property
    def written(self) -> "TaskState":
        """As it is once it was written."""
        return replace(self, version=self.version + 1)

    @property
    def held(self) -> Hold | None:
        """The hold in force; None also if nothing more than its reason is known."""
        first = next(iter(self.holds), None)
        return first if first and self.hold and first.released_at is None else None


def state_from(raw: Mapping[str, Any], version: int) -> TaskState:
    """Read what was stored of a state. Raises ValueError."""
    state = load(TaskState, {**raw, "version": version} if isinstance(raw, dict) else raw)
    if "former" in raw:
        return state
    # The first release had them in `recent` alone.
    return replace(state, former=tuple(Former(each.run, each.ended_at) for each in state.recent))


def unreadable_state(task: str, text: str, version: int, why: str) -> TaskState:
    hold = f"its stored state can't be read: {why}"
    return TaskState(task, version, hold=hold, unreadable=text)
