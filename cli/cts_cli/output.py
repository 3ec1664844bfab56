"""What commands print. Results go to standard output, all else to standard error."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from cts_cli import words
from cts_cli.waits import Answer, Outcome

PIPED_WIDTH = 200
"""Columns where the output is no terminal: nothing is to be cut off there."""
DEAD_AFTER = 60.0
"""Seconds without a heartbeat from which a poller in mode `live` counts as dead."""
STATUS_LOOKS = {
    "successful": ("●", "green"),
    "errored": ("●", "yellow"),
    "critical": ("●", "red"),
    "unknown": ("○", "dim"),
}
RUN_LOOKS = {
    "pending": ("running", "cyan"),
    "applied": ("applied", "green"),
    "planned_and_finished": ("unchanged", "green"),
    "errored": ("errored", "red"),
    "canceled": ("canceled", "dim"),
}


def out() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


@dataclass(slots=True)
class Progress:
    """A spinner while something is waited for; a line for each text where there is no terminal."""

    console: Console
    status: Status
    text: str = ""

    def tell(self, text: str) -> None:
        if text == self.text:
            return
        self.text = text
        self.status.update(Text(text))
        if not self.console.is_terminal:
            self.console.print(Text(text))

    def show(self, text: str) -> None:
        """Print a piece of a result meanwhile."""
        self.status.stop()
        print(text, end="" if text.endswith("\n") else "\n", flush=True)
        self.status.start()


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    console = err()
    with console.status("") as status:
        shown = Progress(console, status)
        shown.tell(text)
        yield shown


# ---- push -----------------------------------------------------------------------------------


def answer(given: Answer, files: Mapping[str, bytes], took: str) -> None:
    console = out()
    match given.outcome:
        case Outcome.PUBLISHED:
            live = given.configuration["live"]
            _line(console, "✓", "green", f"published as generation {live['generation']} in {took}")
            _differences(console, live)
        case Outcome.REJECTED:
            problems = given.configuration["rejected"]["problems"]
            _line(console, "✗", "red", f"rejected: {words.count(len(problems), 'problem')}")
            for problem in problems:
                _problem(console, problem, files)
            _line(console, " ", "dim", _what_is_live(given.configuration))
        case Outcome.REPLACED:
            _line(console, "!", "yellow", "a newer push took the place of this one")
            _line(console, " ", "dim", "`cts status` shows what came of it")


def _line(console: Console, mark: str, style: str, text: str) -> None:
    console.print(Text.assemble((f"{mark} ", style), (text, style if mark == " " else "")))


def _differences(console: Console, live: Mapping[str, Any]) -> None:
    marks = (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))
    for key, mark, style in marks:
        for task in live[key]:
            console.print(Text.assemble(("  ", ""), (f"{mark} {task}", style)))
    if not any(live[key] for key, _, _ in marks):
        console.print(Text("  no task is added, changed or removed", "dim"))


def _problem(console: Console, problem: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Where it is, the line itself, what is wrong, and what would be right."""
    place = problem["file"]
    if problem["line"]:
        place = f"{place}:{problem['line']}:{problem['column']}"
    console.print()
    console.print(Text.assemble(("  ", ""), (place, "bold"), ("  ", ""), (problem["path"], "dim")))
    if (line := _source(problem, files)) is not None:
        console.print(Text(f"    {line}", "cyan"), no_wrap=True, overflow="ellipsis")
        console.print(Text(f"    {_pointer(line, problem['column'])}", "red"), no_wrap=True)
    console.print(Text.assemble(("    ", ""), (problem["what"], "red")), soft_wrap=True)
    if problem["fix"]:
        console.print(Text.assemble(("    → ", "green"), problem["fix"]), soft_wrap=True)


def _source(problem: Mapping[str, Any], files: Mapping[str, bytes]) -> str | None:
    if not problem["line"] or problem["file"] not in files:
        return None
    lines = files[problem["file"]].decode(errors="replace").split("\n")
    return lines[problem["line"] - 1].rstrip() if problem["line"] <= len(lines) else None


def _pointer(line: str, column: int) -> str:
    """Blanks up to the column; a tab stays a tab, so that the mark stands below its character."""
    return "".join("\t" if char == "\t" else " " for char in line[: column - 1]) + "^"


def _what_is_live(configuration: Mapping[str, Any]) -> str:
    live = configuration["live"]
    return f"generation {live['generation']} stays live" if live else "nothing is live yet"


# ---- status ---------------------------------------------------------------------------------


def status(found: Mapping[str, Any], at: datetime) -> None:
    """`found`: summary, tasks, configuration and poller, as the reader gives them."""
    console = out()
    tasks, configuration = found["tasks"].values(), found["configuration"]
    if not tasks:
        console.print("no tasks: push a configuration with `cts push DIR`")
    else:
        console.print(_tasks_table(tasks, at))
        for task in tasks:
            _failure(console, task)
        console.print(_summary(found["summary"], tasks))
    console.print(_footer(configuration, found["poller"], at))
    if rejected := configuration["rejected"]:
        _line(
            console,
            "!",
            "yellow",
            f"the last push, {words.ago(rejected['rejected_at'], at)}, was rejected: "
            f"{words.count(len(rejected['problems']), 'problem')}; {_what_is_live(configuration)}",
        )


def _tasks_table(tasks: Any, at: datetime) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold dim")
    for name in ("task", "status", "now", "last run", "changes"):
        table.add_column(name, no_wrap=name == "task", overflow="fold")
    for task in tasks:
        table.add_row(
            Text(task["task_name"], "bold"),
            _status(task),
            _doing(task, at),
            _last_run(task["last_run"], at),
            _changes(task["last_run"]),
        )
    return table


def _status(task: Mapping[str, Any]) -> Text:
    mark, style = STATUS_LOOKS[task["status"]]
    return Text.assemble((f"{mark} ", style), (task["status"], style))


def _doing(task: Mapping[str, Any], at: datetime) -> Text:
    """What the task is about, in words."""
    since_or_until, reason = task["at"], task["reason"]
    match task["state"]:
        case "running":
            return Text(f"running for {words.between(since_or_until, None, at)}", "cyan")
        case "waiting":
            return Text(f"buffer period: runs in {words.until(since_or_until, at)}", "cyan")
        case "retrying":
            return Text(f"tries again in {words.until(since_or_until, at)}", "yellow")
        case "queued":
            waited = words.between(since_or_until, None, at)
            return Text(f"waiting {waited} for a build slot", "cyan")
        case "due":
            return Text(f"about to run: {reason}", "cyan")
        case "gave_up":
            return Text(f"gave up: {reason}", "red")
        case "held":
            return Text(f"held: {reason}", "yellow")
        case "not_read":
            return Text(f"waiting for Consul: {reason}", "yellow")
        case _:
            return _idle(task)


def _idle(task: Mapping[str, Any]) -> Text:
    if not task["enabled"]:
        return Text("disabled", "dim")
    return Text("up to date" if task["last_run"] else "has not run yet", "dim")


def _last_run(run: Mapping[str, Any] | None, at: datetime) -> Text:
    if run is None:
        return Text("never", "dim")
    mark, style = ("✓", "green") if run["success"] else ("✗", "red")
    return Text.assemble(
        (f"{mark} ", style), words.ago(run["ended_at"], at), (f"  {run['id']}", "dim")
    )


def _changes(run: Mapping[str, Any] | None) -> Text:
    return _coloured(words.changes(run["counts"])) if run else Text("")


def _coloured(changes: str) -> Text:
    styles = {"+": "green", "~": "yellow", "-": "red"}
    if changes[:1] not in styles:
        return Text(changes, "dim")
    return Text(" ").join(Text(each, styles[each[0]]) for each in changes.split(" "))


def _failure(console: Console, task: Mapping[str, Any]) -> None:
    run = task["last_run"]
    if run and not run["success"]:
        _line(console, "✗", "red", f"{task['task_name']}: {words.first_line(run['error'])}")
        _line(console, " ", "dim", f"cts logs {run['id']}")


def _summary(summary: Mapping[str, Any], tasks: Any) -> Text:
    counted = summary["task_summary"]
    parts = [f"{number} {name}" for name, number in counted["status"].items() if number]
    if disabled := counted["enabled"]["false"]:
        parts.append(f"{disabled} disabled")
    if running := sum(task["state"] == "running" for task in tasks):
        parts.append(f"{running} running")
    return Text.assemble((words.count(len(tasks), "task"), "bold"), f": {', '.join(parts)}")


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
    beat = f"poller: last heartbeat {words.span(poller['heartbeat_age'])} ago"
    return text.append("  ·  ").append(beat, "dim" if alive else "yellow")


# ---- runs -----------------------------------------------------------------------------------


def runs(found: list[dict[str, Any]], at: datetime) -> None:
    console = out()
    if not found:
        console.print("no runs yet")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold dim")
    for name in ("run", "outcome", "why", "started", "took", "changes"):
        table.add_column(name, no_wrap=name == "run", overflow="fold")
    for run in found:
        table.add_row(
            Text(run["id"], "bold"),
            _outcome(run),
            Text(_why(run)),
            Text(words.ago(run["claimed_at"], at)),
            Text(words.between(run["claimed_at"], run["ended_at"], at)),
            _coloured(words.changes(run["counts"])) if run["counts"] else _error(run),
        )
    console.print(table)


def _outcome(run: Mapping[str, Any]) -> Text:
    word, style = RUN_LOOKS[run["status"]]
    return Text(word, style)


def _why(run: Mapping[str, Any]) -> str:
    why = ", ".join(run["why"])
    return f"{why}, attempt {run['attempt']}" if run["attempt"] > 1 else why


def _error(run: Mapping[str, Any]) -> Text:
    return Text(words.first_line(run["error"]), "red")


# ---- logs -----------------------------------------------------------------------------------


def ended(run: Mapping[str, Any]) -> None:
    """One line on how a run ended and how long each step took."""
    word, style = RUN_LOOKS[run["status"]]
    mark = "✗" if run["status"] == "errored" else "✓"
    text = Text.assemble((f"{mark} {run['id']}: {word}", style))
    if changes := words.changes(run["counts"]):
        text.append(f", {changes}")
    steps = [f"{step} {words.span(took)}" for step, took in run["seconds"].items()]
    if steps:
        text.append(f"  ({' · '.join(steps)})", "dim")
    err().print(text)
