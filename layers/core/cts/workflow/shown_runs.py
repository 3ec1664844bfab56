"""Runs, as the JSON values of the API's responses. No I/O. All times are ISO 8601, UTC."""

import uuid
from dataclasses import asdict
from typing import Any

from cts.events import iso
from cts.run.durations import seconds
from cts.run.lane import LANES
from cts.run.model import Change, Orphan, Run, Used
from cts.run.state import Outcome
from cts.workflow.shown import maybe


def event(task: str, outcome: Outcome, source: str) -> dict[str, Any]:
    """A run as CTS shows it. `source` is the currently configured module."""
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, outcome.run)),
        "success": outcome.success,
        "start_time": iso(outcome.ended_at if outcome.started_at is None else outcome.started_at),
        "end_time": iso(outcome.ended_at),
        "task_name": task,
        "error": None if outcome.success else {"message": outcome.error or ""},
        "config": {"providers": [], "services": [], "source": source},
        "run": outcome.run,
    }


def run(run: Run) -> dict[str, Any]:
    end = run.end
    return {
        "id": run.id,
        "task": run.task,
        "status": run.status.value,
        "why": list(run.why),
        "attempt": run.attempt,
        "changed_at": iso(run.since),
        "claimed_at": iso(run.claimed_at),
        "ended_at": maybe(run.ended_at),
        "seconds": seconds(run),
        "step": end.step if end else None,
        "counts": end.counts if end else None,
        "changes": [change(each) for each in end.changes] if end else [],
        "error": end.error if end else None,
        "apply_began": end.apply_began if end else None,
        "terraform": end.terraform if end else None,
        "modules": [used(each) for each in end.modules] if end else [],
        "providers": [used(each) for each in end.providers] if end else [],
        "retry_at": maybe(run.retry_at),
        "gave_up": run.gave_up,
        "because": (end.because or None) if end else None,
        "orphans": [orphan(each) for each in end.orphans] if end else [],
        "build": run.build,
        "lane": LANES.get(run.driver),
        "lane_why": run.lane_why or None,
        "waits": None if run.status.ended else run.waits or None,
        "generation": run.generation,
        "definition": run.definition,
        "trigger": run.trigger,
        "inputs": dict(run.inputs),
        "more_inputs": run.more_inputs,
        "correlation_id": run.correlation,
        "by": run.by or None,
        "request": run.request or None,
    }


def orphan(found: Orphan) -> dict[str, Any]:
    """An object that may exist outside of the state."""
    shown = asdict(found)
    del shown["extra"]
    return {name: text or None for name, text in shown.items()}


def used(found: Used) -> dict[str, str]:
    """A module or provider; only modules have a name."""
    shown = {"source": found.source, "version": found.version, "digest": found.digest}
    return {"name": found.name, **shown} if found.name else shown


def change(made: Change) -> dict[str, str]:
    return {"action": made.action, "address": made.address}
