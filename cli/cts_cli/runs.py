"""The most recent runs as a table, and one run with what differed in its input."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from cts.run.error_text import error_line
from cts.run.reasons import told
from cts_cli import grid, words
from cts_cli.output import RUN_LOOKS, out, print_paragraph, resource_changes
from cts_cli.screen import Console, Text

SIGNS = {
    "came": ("+", "green"),
    "left": ("-", "red"),
    "changed": ("~", "yellow"),
    "unknown": ("?", "dim"),
}
"""How each kind of difference is marked."""
ORPHANS = {"created": "exists", "begun": "may exist: its creation had begun"}


def print_runs(found: Mapping[str, Any], at: datetime) -> None:
    console = out()
    if not found["runs"]:
        console.print("no runs yet")
        return
    grid.print_rows(console, [_run(run, at) for run in found["runs"]], ("why", "took"))


def print_run(found: Mapping[str, Any], at: datetime) -> None:
    """One run, as lines."""
    console = out()
    console.print(Text.assemble((found["id"], "bold"), "  ", _outcome(found)), soft_wrap=True)
    took = words.between(found["claimed_at"], found["ended_at"], at)
    delta = found.get("delta")  # an older stack answers none
    facts = {
        "why": Text(_why(found)),
        "by": Text(found.get("by") or ""),
        "lane": Text(_lane(found)),
        "started": Text(f"{words.ago(found['claimed_at'], at)}, took {took}"),
        "changes": resource_changes(found["counts"]),
        "error": Text(error_line(found["error"])),
        "now": Text(found.get("waits") or ""),
        "retry": Text(found.get("because") or ""),
        "input": Text(_since(delta)),
    }
    for name, fact in facts.items():
        if fact:
            print_paragraph(console, fact, (f"{name:<8}", "dim"))
    if delta:
        _print_delta(console, delta)
    for what in ("modules", "providers"):
        _print_used(console, what, found[what])
    if orphans := found.get("orphans"):
        _print_orphans(console, orphans)


def _lane(run: Mapping[str, Any]) -> str:
    """Empty for a run in HCP Terraform, and for one of an earlier version."""
    why = run.get("lane_why")
    return f"{run['lane']}: {why}" if why else ""


def _print_used(console: Console, what: str, used: Sequence[Mapping[str, str]]) -> None:
    """What the run was executed with; a digest is empty if it was not recorded."""
    for number, each in enumerate(used):
        name = Text.assemble((f"{'' if number else what:<10}", "dim"), each["source"])
        if each["version"]:
            name.append(f" {each['version']}")
        if each["digest"]:
            name.append(f"  {each['digest']}", "dim")
        console.print(name, soft_wrap=True)


def _print_orphans(console: Console, orphans: Sequence[Mapping[str, Any]]) -> None:
    """Objects that a killed build may have left, and that are not in the state."""
    text = "outside of the state, left by a build that was killed:"
    console.print(Text(text, "yellow"), soft_wrap=True)
    for each in orphans:
        name = Text(each["address"] or "")
        if each["id"]:
            name.append(f"  id {each['id']}", "dim")
        name.append(f"  {ORPHANS.get(each['seen'], 'may exist')}, {each['run']}", "dim")
        print_paragraph(console, name, ("    !", "yellow"))


def _since(delta: Mapping[str, Any] | None) -> str:
    """What its input is compared with, and how much differs."""
    if delta is None:
        return "what differs was not recorded"
    counts = ", ".join(f"{delta[what]} {what}" for what in SIGNS if delta[what])
    since = f"since {delta['former']}" if delta["former"] else "no earlier success is known"
    return f"{counts or 'nothing differs'}, {since}"


def _print_delta(console: Console, delta: Mapping[str, Any]) -> None:
    """By view, and how many are not listed."""
    for view, found in groupby(delta["first"], key=itemgetter("view")):
        console.print(Text(f"  {view}"), soft_wrap=True)
        for each in found:
            sign, style = SIGNS[each["what"]]
            attributes = ", ".join(each["attributes"])
            name = each["name"] or "its former data is gone, so it can't be compared"
            text = Text.assemble(name, (f"  {attributes}", "dim") if attributes else "")
            print_paragraph(console, text, (f"    {sign}", style))
    total = sum(delta[what] for what in SIGNS)
    if more := total - len(delta["first"]):
        console.print(Text(f"  and {more} more", "dim"))


def _run(run: Mapping[str, Any], at: datetime) -> grid.Row:
    cells = {
        "run": Text(run["id"], "bold"),
        "outcome": _outcome(run),
        "why": Text(_why(run)),
        "started": Text(words.ago(run["claimed_at"], at)),
        "took": Text(words.between(run["claimed_at"], run["ended_at"], at)),
        "changes": resource_changes(run["counts"]),
    }
    error = error_line(run["error"])
    if waits := run.get("waits"):
        return grid.Row(cells, Text.assemble(("… ", "yellow"), waits))
    return grid.Row(cells, Text.assemble(("✗ ", "red"), error) if error else None)


def _outcome(run: Mapping[str, Any]) -> Text:
    word, style = RUN_LOOKS[run["status"]]
    return Text(word, style)


def _why(run: Mapping[str, Any]) -> str:
    why = told(run["why"])
    return f"{why}, attempt {run['attempt']}" if run["attempt"] > 1 else why
