"""Where the time from a change to its end goes: each hop's moment, as the stack has recorded it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import Any

Entries = Iterable[Mapping[str, Any]]
Moments = dict[str, float]
"""Name of a hop -> when it was done, in seconds."""
APPLIED = "program ended"
"""The hop with which a change is applied. Those behind it keep nobody waiting."""
STEPS = {
    "started": "program began",
    "init": "secrets read",
    "plan": "init ended",
    "apply": "plan ended",
    "ended": APPLIED,
}
"""A step of a result -> the hop that ends when the step begins."""


def moments(
    run: str, task: str, steps: Mapping[str, str], calls: Entries, events: Entries
) -> Moments:
    """Of a run. `steps`: the `at` of its result. `calls` and `events`: those since the change."""
    row = f"TASK#{task}/RUN#{run}"
    found = {STEPS[name]: seconds(at) for name, at in steps.items() if name in STEPS}
    for call in calls:
        if hop := _hop(call, run, task, row):
            found.setdefault(hop, seconds(call["at"]))
    for event in events:
        is_ours = event["detail"].get("task") == task
        if is_ours and event["detail_type"] == "TaskTriggered":
            hop = "event sent" if event["kind"] == "put" else "runner invoked"
            found.setdefault(hop, seconds(event["at"]))
    return found


def _hop(call: Mapping[str, Any], run: str, task: str, row: str) -> str:
    """What is done with a call to AWS that matters; else empty."""
    caller, action, keys, writes = (call[name] for name in ("caller", "action", "keys", "writes"))
    if caller == "Poller":
        return "state written" if f"STATE/TASK#{task}" in writes else ""
    if caller == "Runner":
        if any(key.endswith(f"{run}/archive.zip") for key in keys):
            return "archive stored"
        if row in writes:
            return "claimed" if action == "TransactWriteItems" else ""
        return {"StartBuild": "execution started", "InvokeFunction": "execution started"}.get(
            action, ""
        )
    if caller == "Tracker" and row in writes:
        return "settled"
    return "result stored" if any(key.endswith(f"{run}/result.json") for key in keys) else ""


def shares(written: float, moments: Moments) -> dict[str, float]:
    """Hop -> its seconds: since the one before, in the order of what happened."""
    last, found = written, {}
    for hop, at in sorted(moments.items(), key=lambda each: each[1]):
        found[hop] = at - last
        last = at
    return found


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Of the hops that all runs have, in the order of the last run."""
    common = set(runs[0]).intersection(*runs)
    return {hop: median(run[hop] for run in runs) for hop in runs[-1] if hop in common}


def seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
