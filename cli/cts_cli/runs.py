"""The most recent runs, as a table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cts_cli import grid, words
from cts_cli.output import RUN_LOOKS, out, resource_changes
from cts_cli.screen import Text


def print_runs(found: list[dict[str, Any]], at: datetime) -> None:
    console = out()
    if not found:
        console.print("no runs yet")
        return
    grid.print_rows(console, [_run(run, at) for run in found], ("why", "took"))


def _run(run: Mapping[str, Any], at: datetime) -> grid.Row:
    cells = {
        "run": Text(run["id"], "bold"),
        "outcome": _outcome(run),
        "why": Text(_why(run)),
        "started": Text(words.ago(run["claimed_at"], at)),
        "took": Text(words.between(run["claimed_at"], run["ended_at"], at)),
        "changes": resource_changes(run["counts"]),
    }
    error = words.first_line(run["error"])
    return grid.Row(cells, Text.assemble(("✗ ", "red"), error) if error else None)


def _outcome(run: Mapping[str, Any]) -> Text:
    word, style = RUN_LOOKS[run["status"]]
    return Text(word, style)


def _why(run: Mapping[str, Any]) -> str:
    why = ", ".join(run["why"])
    return f"{why}, attempt {run['attempt']}" if run["attempt"] > 1 else why
