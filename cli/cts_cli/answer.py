"""The result of a push: what it changed, or what is wrong with it and where."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cts_cli import difference, problems, words
from cts_cli.difference import Difference
from cts_cli.output import out, print_line, what_is_live
from cts_cli.screen import Console, Text
from cts_cli.waits import Answer, Outcome

SAME = ("file", "line", "column", "code")
"""Two problems that agree in these are the same."""


def print_answer(
    given: Answer,
    files: Mapping[str, bytes],
    took: str,
    expected: Difference,
    shown: Sequence[Mapping[str, Any]],
) -> None:
    """`expected`, `shown`: the differences and warnings printed before the push."""
    console = out()
    match given.outcome:
        case Outcome.PUBLISHED:
            live = given.configuration["live"]
            number = live["generation"]
            print_line(console, "✓", "green", f"published as generation {number} in {took}")
            if any(live[kind] != [*names] for kind, names in asdict(expected.tasks).items()):
                _print_differences(console, live)
            _print_kept(console, live, expected)
            known = [_same(each) for each in shown]
            new = [each for each in live["warnings"] if _same(each) not in known]
            problems.print_briefly(console, new, problems.WARNING)
        case Outcome.REJECTED:
            rejected = given.configuration["rejected"]
            count, found = rejected["problem_count"], rejected["problems"]
            problems.print_with_lines(
                console, found, problems.PROBLEM, problems.Lines(files, found)
            )
            if count > len(found):
                more = words.count(count - len(found), "more problem")
                print_line(console, " ", "red", f"and {more}")
                console.print()
            print_line(console, "✗", "red", f"rejected: {words.count(count, 'problem')}")
            print_line(console, " ", "dim", what_is_live(given.configuration))
        case Outcome.REPLACED:
            print_line(console, "!", "yellow", "superseded by a newer push")
            print_line(console, " ", "dim", "see `cts status` for its result")


def _print_kept(console: Console, live: Mapping[str, Any], expected: Difference) -> None:
    """What the API said of a task stays in force, unless the push changes it."""
    for name, enabled in expected.kept.items():
        if name in live["tasks"] and live["tasks"][name]["enabled"] == enabled:
            stays, other = ("enabled", "disable") if enabled else ("disabled", "enable")
            text = (
                f"{name} stays {stays}, as set through the API: `cts task {other} {name}` ends that"
            )
            print_line(console, "!", "yellow", text)


def _same(problem: Mapping[str, Any]) -> list[Any]:
    return [problem[key] for key in SAME]


def _print_differences(console: Console, live: Mapping[str, Any]) -> None:
    """The differences as the stack reports them: they override what was expected."""
    for kind, mark, style in difference.KINDS:
        for task in live[kind]:
            console.print(Text.assemble("  ", (f"{mark} {task}", style)))
    if not any(live[kind] for kind, _, _ in difference.KINDS):
        console.print(Text("  no tasks added, changed or removed", "dim"))
