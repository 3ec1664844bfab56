"""The answer to a push: what it changed, or what is wrong with it and where."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from cts_cli import words
from cts_cli.output import line, out, what_is_live
from cts_cli.waits import Answer, Outcome

NEVER_SHOWN = {"literal-secret"}
"""Problems whose line would put a secret on the screen, or into the log of a pipeline."""


def show(given: Answer, files: Mapping[str, bytes], took: str) -> None:
    console = out()
    match given.outcome:
        case Outcome.PUBLISHED:
            live = given.configuration["live"]
            line(console, "✓", "green", f"published as generation {live['generation']} in {took}")
            _differences(console, live)
            for warning in live["warnings"]:
                _problem(console, warning, files, "yellow")
        case Outcome.REJECTED:
            rejected = given.configuration["rejected"]
            count, problems = rejected["problem_count"], rejected["problems"]
            line(console, "✗", "red", f"rejected: {words.count(count, 'problem')}")
            for problem in problems:
                _problem(console, problem, files, "red")
            if count > len(problems):
                more = words.count(count - len(problems), "problem")
                line(console, " ", "red", f"and {more} more")
            console.print()
            line(console, " ", "dim", what_is_live(given.configuration))
        case Outcome.REPLACED:
            line(console, "!", "yellow", "a newer push took the place of this one")
            line(console, " ", "dim", "`cts status` shows what came of it")


def _differences(console: Console, live: Mapping[str, Any]) -> None:
    marks = (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))
    for key, mark, style in marks:
        for task in live[key]:
            console.print(Text.assemble("  ", (f"{mark} {task}", style)))
    if not any(live[key] for key, _, _ in marks):
        console.print(Text("  no task is added, changed or removed", "dim"))


def _problem(
    console: Console, problem: Mapping[str, Any], files: Mapping[str, bytes], style: str
) -> None:
    """Where it is, the line itself, what is wrong, and what would be right."""
    place = problem["file"]
    if problem["line"]:
        place = f"{place}:{problem['line']}:{problem['column']}"
    console.print()
    path = f"  {problem['path']}" if problem["path"] else ""
    console.print(Text.assemble("  ", (place, "bold"), (path, "dim")), soft_wrap=True)
    if (text := _source_line(problem, files)) is not None:
        console.print(Text(f"    {text}", "cyan"), no_wrap=True, overflow="ellipsis")
        console.print(Text(f"    {_pointer(text, problem['column'])}", style), no_wrap=True)
    console.print(Text.assemble("    ", (problem["what"], style)), soft_wrap=True)
    if problem["fix"]:
        console.print(Text.assemble(("    → ", "green"), problem["fix"]), soft_wrap=True)


def _source_line(problem: Mapping[str, Any], files: Mapping[str, bytes]) -> str | None:
    if not problem["line"] or problem["file"] not in files or problem["code"] in NEVER_SHOWN:
        return None
    lines = files[problem["file"]].decode(errors="replace").split("\n")
    return lines[problem["line"] - 1].rstrip() if problem["line"] <= len(lines) else None


def _pointer(text: str, column: int) -> str:
    """Blanks up to the column; a tab stays a tab, so that the mark stands below its character."""
    return "".join("\t" if char == "\t" else " " for char in text[: column - 1]) + "^"
