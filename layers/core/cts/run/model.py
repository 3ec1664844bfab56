"""A run: one attempt to bring a task's infrastructure in line."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from cts.stored import LATER

TERRAFORM = "terraform"
"""The default driver."""
EXECUTOR = "executor"
"""The driver of the warm lane."""
RENEW_AFTER = 20 * 60.0
"""Seconds. Credentials are valid for an hour, and in its last ten minutes a build stops Terraform
(`build/session.py`). So the tracker may be unavailable for half an hour."""
MOST_INPUTS = 1_000
"""DynamoDB takes 400 KB an item."""


class RunStatus(StrEnum):
    """HCP Terraform's words, where it has one."""

    PENDING = "pending"
    APPLIED = "applied"
    UNCHANGED = "planned_and_finished"
    ERRORED = "errored"
    BUSY = "busy"
    """Someone else held the lock of its state; nothing was done."""
    PLANNED = "planned"
    """An inspection: a plan, which is never applied."""
    MOVED = "moved"
    """The task's state is at another place; nothing was applied."""
    CANCELED = "canceled"
    """It was given up before its build began; nothing was done."""
    UNKNOWN = "unknown"
    """A newer version of this program has a word for it."""

    @classmethod
    def _missing_(cls, _value: object) -> "RunStatus":
        return cls.UNKNOWN

    @property
    def ended(self) -> bool:
        return self is not RunStatus.PENDING

    @property
    def did_nothing(self) -> bool:
        """Neither a success nor a failure."""
        return self in (RunStatus.BUSY, RunStatus.PLANNED, RunStatus.MOVED)

    @property
    def succeeded(self) -> bool:
        return self in (RunStatus.APPLIED, RunStatus.UNCHANGED)


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that may exist outside of the state, because a build was killed while it created
    it."""

    run: str
    """The one that was killed."""
    address: str
    id: str
    """What its provider calls it; empty if that is not known."""
    seen: str
    """What the run's log says of its creation: `created`, `begun`, or empty."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan does to a resource."""

    action: str
    """create, update, replace, destroy, import, move or forget."""
    address: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Used:
    """A module or provider that a run was executed with."""

    source: str
    version: str
    """Empty for a module without one."""
    digest: str
    """Of its content; empty if it was not recorded."""
    name: str = ""
    """A module's, as Terraform has it."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, as its driver reports it."""

    status: RunStatus
    apply_began: bool
    """False only if the build's own record says so."""
    error: str | None = None
    retryable: bool = True
    step: str | None = None
    counts: Mapping[str, int] | None = None
    """What the plan does -> to how many resources: add, change, destroy; where there are any:
    import, move, forget."""
    terraform: str | None = None
    times: Mapping[str, str] = field(default_factory=dict)
    """Step -> when it began (ISO 8601)."""
    because: str = field(default="", metadata=LATER)
    """Why a retry can or can't help; empty if the build did not say."""
    orphans: tuple[Orphan, ...] = field(default=(), metadata=LATER)
    """Of former runs."""
    changes: tuple[Change, ...] = field(default=(), metadata=LATER)
    """The first resources that the plan changes."""
    modules: tuple[Used, ...] = field(default=(), metadata=LATER)
    providers: tuple[Used, ...] = field(default=(), metadata=LATER)
    known: bool = field(default=True, metadata=LATER)
    """False if neither its driver nor the build reported it, and its time limit has long passed."""
    disk: int = field(default=0, metadata=LATER)
    """Bytes of what `init` made; 0 if the build did not say."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the run history. Times are seconds since the epoch."""

    id: str
    task: str
    status: RunStatus
    why: tuple[str, ...]
    since: float
    """When the first of what it serves was seen."""
    claimed_at: float
    generation: int
    definition: str
    trigger: str
    inputs: Mapping[str, str]
    """View id -> digest of the snapshots it was fed with, the first `MOST_INPUTS` of them."""
    correlation: str
    attempt: int
    build: str | None = None
    ended_at: float | None = None
    end: End | None = None
    retry_at: float | None = None
    gave_up: str | None = None
    more_inputs: int = field(default=0, metadata=LATER)
    """How many snapshots it was given in addition to those in `inputs`."""
    driver: str = field(default=TERRAFORM, metadata=LATER)
    """The driver that executes it."""
    folder: str = field(default="", metadata=LATER)
    """The name of the folder in `builds/` with its build's credentials. It is never shown. Empty
    for a run of an earlier version of this program."""
    renewed_at: float | None = field(default=None, metadata=LATER)
    """When its build was last given new credentials."""
    secrets: tuple[str, ...] = field(default=(), metadata=LATER)
    """Which of the stack's secrets its build may read (`terraform/permissions.py`)."""
    by: str = field(default="", metadata=LATER)
    """The person who asked for it, as an ARN; empty if there is none."""
    request: str = field(default="", metadata=LATER)
    """The ID of that person's request."""
    waits: str | None = field(default=None, metadata=LATER)
    """What it waits for, while it runs (`run/news.py`); None: that was never recorded."""
    lane_why: str = field(default="", metadata=LATER)
    """Why it is in its lane (`run/lane.py`); empty: it has none."""
    extra: Mapping[str, Any] = field(default_factory=dict)


def needs_renewal(run: Run, now: float) -> bool:
    """Whether its build needs new credentials."""
    return bool(run.folder) and now - (run.renewed_at or run.claimed_at) >= RENEW_AFTER


def ended(run: Run, end: End, now: float, retry_at: float | None, gave_up: str | None) -> Run:
    return replace(
        run, status=end.status, end=end, ended_at=now, retry_at=retry_at, gave_up=gave_up
    )
