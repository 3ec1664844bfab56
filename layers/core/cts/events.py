"""The events on our bus, as described in docs/events.md.

EventBridge delivers at least once and in any order. Events that people rely on carry an `id`,
so that a consumer can drop repeats.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "cts"
MOST_LISTED = 50
"""Maximum number of items in a detail's list; its count field counts all of them."""


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """Views that changed in Consul, and the tasks that use them."""

    detail_type: ClassVar[str] = "CatalogChanged"

    views: list[str]
    view_count: int
    tasks: list[str]
    task_count: int
    correlation_id: str
    at: str
    delta: Mapping[str, Any] = field(default_factory=dict)
    """What came, left and changed: counts, and the `first` of them."""


@dataclass(frozen=True, slots=True)
class TaskTriggered:
    """A task is due. Its state says for what: the event only wakes the runner."""

    detail_type: ClassVar[str] = "TaskTriggered"

    task: str
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class RunStarted:
    detail_type: ClassVar[str] = "RunStarted"

    task: str
    run_id: str
    why: list[str]
    attempt: int
    build: str
    correlation_id: str
    at: str
    by: str = ""
    """The person who asked for it, as an ARN."""
    lane: str = ""
    """Where it is executed: `warm` or `build`; empty: in HCP Terraform."""
    lane_why: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """A run applies nothing until a person approves its plan."""

    detail_type: ClassVar[str] = "ApprovalNeeded"

    id: str
    task: str
    run_id: str
    why: list[str]
    attempt: int
    url: str
    """Where to approve or discard it."""
    changed_at: str
    claimed_at: str
    correlation_id: str
    by: str
    """As in `RunStarted`."""
    delta: Mapping[str, Any] | None
    """As in `RunFinished`."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended. `status` is applied, planned_and_finished, planned, busy or errored."""

    detail_type: ClassVar[str] = "RunFinished"

    id: str
    task: str
    run_id: str
    status: str
    why: list[str]
    attempt: int
    counts: Mapping[str, int] | None
    error: str | None
    retry_at: str | None
    gave_up: str | None
    changed_at: str
    claimed_at: str
    ended_at: str
    correlation_id: str
    by: str = ""
    """As in `RunStarted`."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each step took."""
    delta: Mapping[str, Any] | None = None
    """What came, left and changed in Consul since the last successful run."""
    changes: list[dict[str, str]] = field(default_factory=list)
    """The first resources that the plan changes."""
    terraform: str = ""
    """Its version."""
    lane: str = ""
    """As in `RunStarted`."""
    lane_why: str = ""


@dataclass(frozen=True, slots=True)
class TaskHeld:
    """Nothing is applied for this task until it is released."""

    detail_type: ClassVar[str] = "TaskHeld"

    id: str
    task: str
    why: str
    by: str
    """The user who holds it, as an ARN."""
    at: str


@dataclass(frozen=True, slots=True)
class TaskReleased:
    """A task is no longer held. `why` and `held_by` are those of the hold."""

    detail_type: ClassVar[str] = "TaskReleased"

    id: str
    task: str
    why: str
    held_by: str
    held_at: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class ConfigPublished:
    detail_type: ClassVar[str] = "ConfigPublished"

    id: str
    number: int
    source_version: str
    added: list[str]
    changed: list[str]
    removed: list[str]
    by: list[str] = field(default_factory=list)
    """The people whose changes through the API are in it, as ARNs."""


@dataclass(frozen=True, slots=True)
class ConfigRejected:
    detail_type: ClassVar[str] = "ConfigRejected"

    id: str
    source_version: str
    problem_count: int
    problems: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ViewStale:
    """Some views could not be read. They keep their last value and trigger nothing."""

    detail_type: ClassVar[str] = "ViewStale"

    id: str
    views: list[str]
    view_count: int
    tasks: list[str]
    task_count: int
    why: list[str]
    """A few of the different errors that occurred."""
    since: str
    at: str


@dataclass(frozen=True, slots=True)
class ViewFresh:
    """Stale views were read again, or are no longer needed."""

    detail_type: ClassVar[str] = "ViewFresh"

    id: str
    views: list[str]
    view_count: int
    tasks: list[str]
    task_count: int
    at: str


Event = (
    CatalogChanged
    | TaskTriggered
    | RunStarted
    | ApprovalNeeded
    | RunFinished
    | TaskHeld
    | TaskReleased
    | ConfigPublished
    | ConfigRejected
    | ViewStale
    | ViewFresh
)


def entry(event: Event, bus: str) -> "PutEventsRequestEntryTypeDef":
    """The event as an entry for PutEvents."""
    return {
        "Source": SOURCE,
        "DetailType": event.detail_type,
        "Detail": json.dumps(asdict(event)),
        "EventBusName": bus,
    }


def triggered(event: Mapping[str, Any]) -> TaskTriggered:
    detail = event["detail"]
    return TaskTriggered(detail["task"], detail.get("correlation_id", ""))


def iso(at: float) -> str:
    """Seconds since the epoch as ISO 8601, UTC, milliseconds."""
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
