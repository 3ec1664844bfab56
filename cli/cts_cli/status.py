"""The tasks: how each fares, as a table."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from cts_cli import grid, words
from cts_cli.output import out, print_line, print_paragraph, resource_changes, what_is_live

DEAD_AFTER = 60.0
"""Seconds without a heartbeat from which a poller in mode `live` counts as dead."""
REASON = ": {reason}"
LONG_REASON = 30
"""Characters from which a reason is told below the table, to leave it room."""
DOING = {
    "due": ("about to run: {reason}", "cyan"),
    "gave_up": ("gave up: {reason}", "red"),
    "held": ("held: {reason}", "yellow"),
    "not_read": ("waiting for Consul: {reason}", "yellow"),
    "queued": ("waiting for a build slot for {since}", "cyan"),
    "retrying": ("tries again in {until}", "yellow"),
    "running": ("running for {since}", "cyan"),
    "waiting": ("buffer period: runs in {until}", "cyan"),
}
STATUS_LOOKS = {
    "successful": ("●", "green"),
    "errored": ("●", "yellow"),
    "critical": ("●", "red"),
    "unknown": ("○", "dim"),
}


def print_status(found: Mapping[str, Any], at: datetime) -> None:
    """`found`: summary, tasks, configuration and poller, as the reader gives them."""
    console = out()
    tasks, configuration = found["tasks"].values(), found["configuration"]
    waiting = (configuration["live"] or {}).get("waiting", {})  # an older stack answers none
    if not tasks and not waiting:
        console.print("no tasks: push a configuration with `cts push`")
    else:
        rows = [*(_task(task, at) for task in tasks), *map(_waiting, waiting)]
        grid.print_rows(console, rows, ("changes", "last run"))
        console.print()
        for task in tasks:
            _failure(console, task)
            _reason(console, task)
        console.print(_summary(found["summary"], tasks, len(waiting)), soft_wrap=True)
    for name, each in waiting.items():
        told = Text.assemble((name, "bold"), ": accepted, does not run yet: ")
        print_paragraph(console, told.append(", ".join(each["reasons"])), ("!", "yellow"))
    console.print(_footer(configuration, found["poller"], at), soft_wrap=True)
    if rejected := configuration["rejected"]:
        print_line(
            console,
            "!",
            "yellow",
            f"the last push, {words.ago(rejected['rejected_at'], at)}, was rejected: "
            f"{words.count(len(rejected['problems']), 'problem')}; {what_is_live(configuration)}",
        )


def summary(tasks: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """As `/v1/status` answers. Counted from the tasks that are shown, so that the two agree."""
    statuses = [task["status"] for task in tasks]
    enabled = [task["enabled"] for task in tasks]
    return {
        "task_summary": {
            "status": {status: statuses.count(status) for status in STATUS_LOOKS},
            "enabled": {"true": enabled.count(True), "false": enabled.count(False)},
        }
    }


def _task(task: Mapping[str, Any], at: datetime) -> grid.Row:
    run = task["last_run"]
    cells = {
        "task": Text(task["task_name"], "bold"),
        "status": _status(task),
        "now": _doing(task, at),
        "last run": _last_run(run, at),
        "changes": resource_changes(run["counts"] if run else None),
    }
    return grid.Row(cells)


def _waiting(name: str) -> grid.Row:
    cells = {
        "task": Text(name, "bold"),
        "status": Text("—", "dim"),
        "now": Text("does not run yet", "yellow"),
        "last run": Text(),
        "changes": Text(),
    }
    return grid.Row(cells)


def _status(task: Mapping[str, Any]) -> Text:
    mark, style = STATUS_LOOKS[task["status"]]
    return Text.assemble((f"{mark} ", style), (task["status"], style))


def _doing(task: Mapping[str, Any], at: datetime) -> Text:
    """What the task is about, in words."""
    if task["state"] == "idle":
        return _idle(task)
    text, style = DOING[task["state"]]
    if len(task["reason"]) > LONG_REASON:
        text = text.removesuffix(REASON)
    when = task["at"] or at.isoformat()
    since, until = words.between(when, None, at), words.until(when, at)
    return Text(text.format(reason=task["reason"], since=since, until=until), style)


def _idle(task: Mapping[str, Any]) -> Text:
    if not task["enabled"]:
        return Text("disabled", "dim")
    return Text("up to date" if task["last_run"] else "has not run yet", "dim")


def _last_run(run: Mapping[str, Any] | None, at: datetime) -> Text:
    if run is None:
        return Text("never", "dim")
    mark = ("✓ ", "green") if run["success"] else ("✗ ", "red")
    return Text.assemble(mark, words.ago(run["ended_at"], at))


def _failure(console: Console, task: Mapping[str, Any]) -> None:
    run, name = task["last_run"], task["task_name"]
    if run and not run["success"]:
        error = words.first_line(run["error"])
        text = Text.assemble(("✗ ", "red"), (name, "bold"), f": {error}")
        console.print(text.append(f"  (cts logs {name})", "dim"), soft_wrap=True)


def _reason(console: Console, task: Mapping[str, Any]) -> None:
    """In full, if the table has no room for it."""
    text, style = DOING.get(task["state"], ("", ""))
    if text.endswith(REASON) and len(task["reason"]) > LONG_REASON:
        said = text.format(reason=" ".join(task["reason"].split()))
        whole = Text.assemble(("! ", style), (task["task_name"], "bold"), f": {said}")
        console.print(whole, soft_wrap=True)


def _summary(summary: Mapping[str, Any], tasks: Any, waiting: int) -> Text:
    counted = summary["task_summary"]
    fares = ", ".join(f"{number} {name}" for name, number in counted["status"].items() if number)
    parts = [fares] if fares else []
    if running := sum(task["state"] == "running" for task in tasks):
        parts.append(f"{running} running")
    if disabled := counted["enabled"]["false"]:
        parts.append(f"{disabled} disabled")
    if waiting:
        parts.append(f"{waiting} {'does' if waiting == 1 else 'do'} not run yet")
    count = words.count(len(tasks) + waiting, "task")
    return Text.assemble((count, "bold"), ": ", "  ·  ".join(parts))


def _footer(
    configuration: Mapping[str, Any], poller: Mapping[str, Any] | None, at: datetime
) -> Text:
    live = configuration["live"]
    text = Text("no configuration is published", "dim")
    if live:
        published = words.ago(live["published_at"], at)
        text = Text(f"generation {live['generation']}, published {published}", "dim")
    if poller is None:
        return text.append("  ·  no poller has run yet", "yellow")
    alive = poller["heartbeat_age"] <= DEAD_AFTER
    beat = f"poller: last heartbeat {words.past(poller['heartbeat_age'])}"
    return text.append("  ·  ").append(beat, "dim" if alive else "yellow")
