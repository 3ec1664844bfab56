"""How long each step took between a change and its run's end."""

from datetime import datetime
from itertools import pairwise

from cts.run.model import Run

_STEPS = {"started": "start"}
"""The build records when it `started`; the step that began then is `start`."""


def seconds(run: Run) -> dict[str, float]:
    """How long each step took: `waited` for the claim, `queued` for the build's first line, then
    the build's steps, and `total` from claim to end. Steps that were not reached are omitted."""
    build = run.end.times if run.end else {}
    marks = [("waited", run.since), ("queued", run.claimed_at)]
    marks += [(step, datetime.fromisoformat(at).timestamp()) for step, at in build.items()]
    took = {step: end - began for (step, began), (_, end) in pairwise(marks)}
    if run.ended_at is not None:
        took["total"] = run.ended_at - run.claimed_at
    return {_STEPS.get(step, step): round(max(0.0, each), 3) for step, each in took.items()}


def applied_at(run: Run) -> float:
    """When an ended run had done its work, by the build's clock: its end may have been recorded up
    to a minute later. Within the run's own times, whatever the build says."""
    recorded = run.ended_at or run.claimed_at
    said = run.end.times.get("ended") if run.end else None
    at = datetime.fromisoformat(said).timestamp() if said else recorded
    return min(max(at, run.claimed_at), recorded)
