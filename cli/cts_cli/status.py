"""The status of all tasks, as a table."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from cts.run.error_text import error_line
from cts_cli import grid, problems, words
from cts_cli.output import out, print_line, print_paragraph, resource_changes, what_is_live
from cts_cli.screen import Console, Text
from cts_cli.watched import Watched, print_blindness, sign_of_life, up_to_date

REASON = ": {reason}"
LEAVES = "being deleted"
LONG_REASON = 30
"""Longer reasons (in characters) are printed below the table."""
DOING = {
    "blocked": ("needs a person: {reason}", "yellow"),
    "busy": ("busy: its state has been locked by someone else for {since}", "yellow"),
    "due": ("about to run: {reason}", "cyan"),
    "gave_up": ("gave up: {reason}", "red"),
    "held": ("held for {age}: {reason}", "yellow"),
    "not_read": ("waiting for Consul: {reason}", "yellow"),
    "queued": ("waiting for a build slot for {since}", "cyan"),
    "retrying": ("retrying in {until}", "yellow"),
    "running": ("running for {since}", "cyan"),
    "scheduled": ("scheduled: next in {until}", ""),
    "stale": ("stale for {age}: {reason}", "yellow"),
    "waiting": ("buffer period: runs in {until}", "cyan"),
}
STATUS_LOOKS = {
    "successful": ("●", "green"),
    "errored": ("●", "yellow"),
    "critical": ("●", "red"),
    "unknown": ("○", "dim"),
}


def print_status(found: Mapping[str, Any], at: datetime) -> None:
    """`found`: summary, tasks, configuration, poller and stale views, as the reader has them."""
    console, watched = out(), Watched.of(found)
    print_blindness(console, watched, at)
    tasks, configuration = found["tasks"].values(), found["configuration"]
    waiting = (configuration["live"] or {}).get("waiting", {})  # older stacks don't return it
    if not tasks and not waiting:
        console.print("no tasks yet: push a configuration with `cts push`")
    else:
        rows = [*(_task(task, watched, at) for task in tasks), *map(_waiting, waiting)]
        grid.print_rows(console, rows, ("changes", "last run"))
        console.print()
        for task in tasks:
            _failure(console, task)
            _reason(console, task, watched, at)
            _help(console, task)
            _ignored(console, task)
            _stale(console, task, watched, at)
        console.print(_summary(found["summary"], tasks), soft_wrap=True)
    for name, each in waiting.items():
        told = Text.assemble((name, "bold"), ": accepted, does not run yet: ")
        print_paragraph(console, told.append(", ".join(each["reasons"])), ("!", "yellow"))
    console.print(_footer(configuration, watched, at), soft_wrap=True)
    if rejected := configuration["rejected"]:
        count = rejected["problem_count"]
        print_line(
            console,
            "!",
            "yellow",
            f"the last push, {words.ago(rejected['rejected_at'], at)}, was rejected: "
            f"{words.count(count, 'problem')}; {what_is_live(configuration)}",
        )
        problems.print_first(console, rejected["problems"], count)


def summary(tasks: Collection[Mapping[str, Any]], waiting: int) -> dict[str, Any]:
    """In the form of `/v1/status`, but counted from the tasks shown, so that the two agree."""
    statuses = [task["status"] for task in tasks]
    enabled = [task["enabled"] for task in tasks]
    return {
        "task_summary": {
            "status": {status: statuses.count(status) for status in STATUS_LOOKS},
            "enabled": {"true": enabled.count(True), "false": enabled.count(False)},
            "stale": sum(bool(task.get("stale")) for task in tasks),
            "waiting": waiting,
        }
    }


def _task(task: Mapping[str, Any], watched: Watched, at: datetime) -> grid.Row:
    run = task["last_run"]
    cells = {
        "task": Text(task["task_name"], "bold"),
        "status": _status(task),
        "now": _doing(task, watched, at),
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


def _doing(task: Mapping[str, Any], watched: Watched, at: datetime) -> Text:
    """What the task is doing, in words."""
    if task["state"] == "idle":
        return _idle(task, watched)
    text, style = _looks(task, watched)
    if len(task["reason"]) > LONG_REASON:
        text = text.removesuffix(REASON)
    leaves = f"{LEAVES}: " if task.get("leaving") else ""  # older stacks don't report it
    return Text(f"{leaves}{_filled(text, task, at)}", style)


def _looks(task: Mapping[str, Any], watched: Watched) -> tuple[str, str]:
    text, style = DOING.get(task["state"], ("", ""))
    all_are = task["state"] == "stale" and watched.sees_nothing  # then the list adds nothing
    return text.removesuffix(REASON) if all_are else text, style


def _filled(text: str, task: Mapping[str, Any], at: datetime) -> str:
    when = task["at"] or at.isoformat()
    return text.format(
        reason=" ".join(task["reason"].split()),
        since=words.between(when, None, at),
        age=words.since(when, at),
        until=words.until(when, at),
    )


def _idle(task: Mapping[str, Any], watched: Watched) -> Text:
    if task.get("leaving"):
        return Text(LEAVES, "yellow")
    if not task["enabled"]:
        return Text("disabled", "dim")
    if task.get("ignored"):
        return Text("changed, not triggered", "dim")
    return up_to_date(watched) if task["last_run"] else Text("has not run yet", "dim")


def _last_run(run: Mapping[str, Any] | None, at: datetime) -> Text:
    if run is None:
        return Text("never", "dim")
    mark = ("✓ ", "green") if run["success"] else ("✗ ", "red")
    return Text.assemble(mark, words.ago(run["ended_at"], at))


def _failure(console: Console, task: Mapping[str, Any]) -> None:
    run, name = task["last_run"], task["task_name"]
    if run and not run["success"]:
        text = Text.assemble((name, "bold"), f": {error_line(run['error'])}")
        print_paragraph(console, text.append(f"  (cts logs {name})", "dim"), ("✗", "red"))


def _reason(console: Console, task: Mapping[str, Any], watched: Watched, at: datetime) -> None:
    """The full reason, if it is too long for the table."""
    text, style = _looks(task, watched)
    if text.endswith(REASON) and len(task["reason"]) > LONG_REASON:
        _print_of(console, task, _filled(text, task, at), style)


def _help(console: Console, task: Mapping[str, Any]) -> None:
    """The user who holds it, if the stack says so, and the command that releases it."""
    name, hold = task["task_name"], task.get("hold")
    if task["state"] == "held" and hold:
        said = Text.assemble(("! ", "yellow"), (name, "bold"), f": held by {hold['by']}")
        console.print(said.append(f"  (cts release {name})", "dim"), soft_wrap=True)
    if task["state"] == "gave_up" and task.get("leaving"):
        said = Text.assemble((name, "bold"), ": is deleted when what it has created is destroyed")
        print_paragraph(console, said.append(f"  (cts retry {name})", "dim"), ("→", "cyan"))
    if task["state"] == "gave_up" and task["enabled"]:
        said = Text.assemble((name, "bold"), f": runs again {_wakes(task)}")
        print_paragraph(console, said.append(f"  (cts retry {name})", "dim"), ("→", "cyan"))


def _wakes(task: Mapping[str, Any]) -> str:
    """What makes a task that gave up run again."""
    views = task.get("woken_by", ["what it watches"])  # older stacks don't report them
    changed = f"once {' or '.join(views)} changes" if views else "at its next scheduled time"
    return f"{changed}, or once a push changes the task"


def _ignored(console: Console, task: Mapping[str, Any]) -> None:
    """Why a change triggers nothing. Older stacks don't report it."""
    if task.get("ignored") and task["enabled"]:
        events = ", ".join(task["trigger_events"])
        said = f"changes are in its next run; what triggers it: {events}"
        console.print(Text.assemble((task["task_name"], "bold"), f": {said}"), soft_wrap=True)


def _stale(console: Console, task: Mapping[str, Any], watched: Watched, at: datetime) -> None:
    """The stale views, if the table shows something else for the task."""
    stale, told = task.get("stale"), task["state"] in {"not_read", "stale"}
    if stale and task["enabled"] and not told and not watched.sees_nothing:
        views = [each["view"] for each in stale]
        if more := task["stale_count"] - len(views):
            views.append(f"and {more} more")
        said = f"stale for {words.since(stale[0]['since'], at)}: {', '.join(views)}"
        _print_of(console, task, said, "yellow")


def _print_of(console: Console, task: Mapping[str, Any], said: str, style: str) -> None:
    whole = Text.assemble(("! ", style), (task["task_name"], "bold"), f": {said}")
    console.print(whole, soft_wrap=True)


def _summary(summary: Mapping[str, Any], tasks: Any) -> Text:
    counted = summary["task_summary"]
    statuses = ", ".join(f"{number} {name}" for name, number in counted["status"].items() if number)
    parts = [statuses] if statuses else []
    if running := sum(task["state"] == "running" for task in tasks):
        parts.append(f"{running} running")
    leaving = sum(task.get("leaving", False) for task in tasks)
    if leaving:
        parts.append(f"{leaving} {LEAVES}")
    if disabled := counted["enabled"]["false"] - leaving:
        parts.append(f"{disabled} disabled")
    if stale := counted["stale"]:
        parts.append(f"{stale} stale")
    if waiting := counted["waiting"]:
        parts.append(f"{waiting} {'does' if waiting == 1 else 'do'} not run yet")
    count = words.count(len(tasks) + waiting, "task")
    return Text.assemble((count, "bold"), ": ", "  ·  ".join(parts))


def _footer(configuration: Mapping[str, Any], watched: Watched, at: datetime) -> Text:
    live = configuration["live"]
    text = Text("no configuration published yet", "dim")
    if live:
        published = words.ago(live["published_at"], at)
        text = Text(f"generation {live['generation']}, published {published}", "dim")
    return text.append("  ·  ").append(sign_of_life(watched))
