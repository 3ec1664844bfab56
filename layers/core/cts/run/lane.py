"""Where a task's next run is executed: in the warm lane, whose function begins at once, or in the
build lane, by a build of CodeBuild.

The option `lane` decides, or what the task's last runs have shown of themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from cts.run.model import EXECUTOR, TERRAFORM, End, Run, RunStatus

WARM, BUILD, AUTO = "warm", "build", "auto"
LANES = {EXECUTOR: WARM, TERRAFORM: BUILD}
"""By driver. A run in HCP Terraform has no lane."""
RECENT = 3
"""How many durations count."""
ROOM = 0.5
"""How much of the function's time limit and of its disk a run may have needed, so that the next one
has room."""
AGAIN_AFTER = 24 * 3600.0
"""Seconds after which the warm lane is tried again where a run has failed: the cause may have been
anything."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a task's last runs have shown of themselves, all of one definition."""

    definition: str
    seconds: tuple[float, ...] = ()
    """How long the last successful ones took, newest first."""
    disk: int = 0
    """Bytes of what `init` made."""
    failed: str = ""
    """The last run that failed in the warm lane; empty: none."""
    failed_at: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


class Capacity(NamedTuple):
    """What the function has."""

    seconds: float
    disk: int


class Choice(NamedTuple):
    lane: str
    why: str

    @property
    def driver(self) -> str:
        return EXECUTOR if self.lane == WARM else TERRAFORM


def chosen(
    asked: str, obstacles: Sequence[str], needs: Needs | None, capacity: Capacity, now: float
) -> Choice:
    """`asked`: what the configuration says; empty: nothing. `obstacles`: why the warm lane is not
    for this task. `needs`: None if no run of its definition has shown any."""
    if obstacles:
        return Choice(BUILD, obstacles[0])
    if asked in (WARM, BUILD):
        return Choice(asked, "the configuration says so")
    if needs is None or not (needs.seconds or needs.failed):
        return Choice(BUILD, "no run has shown yet what the task needs")
    if why := _unfit(needs, capacity, now):
        return Choice(BUILD, why)
    return Choice(WARM, f"its last runs took {max(needs.seconds):.1f} s or less")


def _unfit(needs: Needs, capacity: Capacity, now: float) -> str:
    """Why the next run may not fit into the warm lane; empty: it does."""
    if needs.failed and now < needs.failed_at + AGAIN_AFTER:
        return f"run {needs.failed} failed in the warm lane"
    longest = max(needs.seconds, default=capacity.seconds)
    if longest > ROOM * capacity.seconds:
        return f"a run took {longest:.0f} s, and the warm lane ends after {capacity.seconds:.0f} s"
    if needs.disk > ROOM * capacity.disk:
        what = f"its providers and modules have {needs.disk:,} bytes"
        return f"{what}, and the disk of the warm lane has {capacity.disk:,}"
    return ""


def needs_of(needs: Needs | None, definition: str) -> Needs | None:
    """What was shown by runs of this definition."""
    return needs if needs and needs.definition == definition else None


def learned(needs: Needs | None, run: Run, end: End, now: float) -> Needs | None:
    """What is known of a task's needs after a run. A failure in the warm lane keeps the task out of
    it; unless a build fails, too, and so the lane is not the cause."""
    lane = LANES.get(run.driver)
    if lane is None:
        return needs
    known = needs_of(needs, run.definition) or Needs(run.definition)
    if end.status.succeeded and (took := seconds(end)) is not None:
        failed = "" if lane == WARM else known.failed
        durations = (took, *known.seconds)[:RECENT]
        return replace(known, seconds=durations, disk=end.disk, failed=failed)
    if end.status is RunStatus.ERRORED:
        return replace(known, failed=run.id if lane == WARM else "", failed_at=now)
    return needs


def seconds(end: End) -> float | None:
    """How long a run took from its first step to its result; None if it did not say."""
    times = [end.times.get(name) for name in ("started", "ended")]
    began, ended = (datetime.fromisoformat(at).timestamp() if at else None for at in times)
    return None if began is None or ended is None else max(0.0, ended - began)
