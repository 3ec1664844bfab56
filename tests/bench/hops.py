"""Where the time from a change to its end goes: each hop's moment, as the stack has recorded it."""

import json
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
        if hop := _told(event, run, task):
            found.setdefault(hop, seconds(event["at"]))
    return found


def _told(event: Mapping[str, Any], run: str, task: str) -> str:
    """What is done with an event; empty if it is not about this run."""
    if event["detail_type"] == "TaskTriggered" and event["detail"].get("task") == task:
        return "event sent" if event["kind"] == "put" else "runner invoked"
    is_end = event["target"] == "Tracker" and run in json.dumps(event["detail"])
    return "tracker invoked" if is_end else ""


def _hop(call: Mapping[str, Any], run: str, task: str, row: str) -> str:
    """What is done with a call to AWS that matters; else empty."""
    match call["caller"]:
        case "Poller":
            return "state written" if f"STATE/TASK#{task}" in call["writes"] else ""
        case "Runner":
            return _of_runner(call, run, task, row)
        case "Tracker":
            return "settled" if row in call["writes"] else ""
    return _named(call, {f"{run}/result.json": "result stored", f"{run}/ended/": "execution ended"})


def _of_runner(call: Mapping[str, Any], run: str, task: str, row: str) -> str:
    if row in call["writes"]:
        return "claimed" if call["action"] == "TransactWriteItems" else ""
    if call["action"] in ("StartBuild", "InvokeFunction"):
        return "execution started"
    parts = {f"STATE/TASK#{task}": "state read", "/views/": "views read"}
    return _named(call, parts | {f"{run}/archive.zip": "archive stored"})


def _named(call: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    """The hop of the first part that one of the call's keys has."""
    found = (hop for part, hop in parts.items() if any(part in key for key in call["keys"]))
    return next(found, "")


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
