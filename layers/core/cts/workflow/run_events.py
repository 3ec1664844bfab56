"""The events about a run, from its row in the history. No I/O."""

from collections.abc import Mapping
from typing import Any

from cts.events import ApprovalNeeded, RunFinished, RunStarted, iso
from cts.run.durations import seconds
from cts.run.lane import LANES
from cts.run.model import Run
from cts.workflow.announce import fitting

MOST_CHANGES_BYTES = 9_000


def run_started(run: Run, build: str, now: float) -> RunStarted:
    return RunStarted(
        task=run.task,
        run_id=run.id,
        why=list(run.why),
        attempt=run.attempt,
        build=build,
        correlation_id=run.correlation,
        at=iso(now),
        by=run.by,
        lane=LANES.get(run.driver, ""),
        lane_why=run.lane_why,
    )


def approval_needed(event_id: str, run: Run, delta: Mapping[str, Any] | None) -> ApprovalNeeded:
    return ApprovalNeeded(
        id=event_id,
        task=run.task,
        run_id=run.id,
        why=list(run.why),
        attempt=run.attempt,
        url=run.build or "",
        changed_at=iso(run.since),
        claimed_at=iso(run.claimed_at),
        correlation_id=run.correlation,
        by=run.by,
        delta=delta,
    )


def run_finished(event_id: str, run: Run, delta: Mapping[str, Any] | None) -> RunFinished:
    end = run.end
    changes = (
        [{"action": each.action, "address": each.address} for each in end.changes] if end else []
    )
    return RunFinished(
        id=event_id,
        task=run.task,
        run_id=run.id,
        status=run.status.value,
        why=list(run.why),
        attempt=run.attempt,
        counts=end.counts if end else None,
        error=end.error if end else None,
        retry_at=iso(run.retry_at) if run.retry_at is not None else None,
        gave_up=run.gave_up,
        changed_at=iso(run.since),
        claimed_at=iso(run.claimed_at),
        ended_at=iso(run.ended_at or run.claimed_at),
        correlation_id=run.correlation,
        by=run.by,
        seconds=seconds(run),
        delta=delta,
        changes=fitting(changes, MOST_CHANGES_BYTES),
        terraform=(end.terraform or "") if end else "",
        lane=LANES.get(run.driver, ""),
        lane_why=run.lane_why,
    )
