"""What people ask to be made of a task, and what came of it: the api asks the publisher."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Object = Mapping[str, Any]
"""A Task object."""


class Verb(StrEnum):
    CREATE = "create"
    DRAFT = "draft"
    """Create a task for a plan only."""
    DISCARD = "discard"
    """Drop a draft, or a task whose first run failed, if it is still what was created."""
    SET = "set"
    """Set some fields, and leave the others."""
    REPLACE = "replace"
    """Set all fields: those that are not given get their defaults."""
    DELETE = "delete"
    DESTROY = "destroy"
    """Delete it once a run has destroyed what its runs have created."""
    DESTROYED = "destroyed"
    """Delete it, if that is what the same request still wants."""


@dataclass(frozen=True, slots=True)
class TaskChange:
    verb: Verb
    name: str
    by: str
    """The person who asks, as an ARN."""
    at: float
    """When they ask. Of DISCARD: when they asked for what is to be dropped."""
    fields: Object = field(default_factory=dict)
    draft_until: float | None = None
    dry_run: bool = False
    """Whether to check it only."""
    request: str = ""
    """The ID of the person's request; of DESTROYED, of the one to destroy."""


class ChangeOutcome(StrEnum):
    CHANGED = "changed"
    EXISTS = "exists"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Changed:
    outcome: ChangeOutcome
    task: Object = field(default_factory=dict)
    """The Task object after the change; empty if there is none."""
    before: Object = field(default_factory=dict)
    problems: tuple[str, ...] = ()
