"""What a driver reports about a run. One of `News`, whatever executes it."""

from dataclasses import dataclass, field
from typing import Any

from cts.run.model import End


@dataclass(frozen=True, slots=True)
class GoesOn:
    """It continues, or its state is not known at the moment."""

    waits: str = ""
    """What it waits for that people can do something about, and where; empty: it works."""
    approval: bool = False
    """Whether it waits until a person approves or discards its plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotStarted:
    """Nothing executes it yet, and to start it is still safe."""

    archive: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverBegan:
    """As far as its driver knows it never began. `stop` decides: it may begin this moment."""

    end: End | None = None
    """How it ends then; None: its claim is undone, which does not count as a failure."""
    build: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HasEnded:
    end: End
    build: str | None
    """The driver's id of what executed it; None if it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """It was stopped before it began, with this end (see `NeverBegan`)."""

    end: End | None = None


News = GoesOn | NotStarted | NeverBegan | HasEnded | GivenUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An event in which a driver reports on a run."""

    task: str
    run: str
    told: Any
    """The driver's own words, for its `news`."""
