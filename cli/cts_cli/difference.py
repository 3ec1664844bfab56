"""What a push changes of what is live."""

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from cts.config.compile import CONTRACT, Compiled, Differences, Runs, differences, runs
from cts_cli import words
from cts_cli.output import print_paragraph

KINDS = (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))


@dataclass(frozen=True, slots=True)
class Difference:
    tasks: Differences
    unchanged: Set[str]
    waiting: Mapping[str, tuple[str, ...]]
    """What is accepted and does not run yet, and why."""
    live: int | None
    """The live generation's number."""
    exact: bool
    """Whether what is changed can be told: the same compiler made both."""


def compare(live: Mapping[str, Any] | None, compiled: Compiled) -> Difference:
    """`live`: as the reader answers it."""
    before, after = _live_runs(live) if live else {}, runs(compiled)
    tasks = differences(before, after)
    exact = live is None or live["contract"] == CONTRACT
    return Difference(
        tasks=tasks if exact else replace(tasks, changed=()),
        unchanged=(before.keys() & after.keys()) - {*tasks.changed} if exact else set(),
        waiting={name: compiled.waiting[name].reasons for name in sorted(compiled.waiting)},
        live=live["generation"] if live else None,
        exact=exact,
    )


def _live_runs(live: Mapping[str, Any]) -> Runs:
    """What `runs` makes of a generation, from the reader's answer."""
    waiting = {name: (each["definition"], True) for name, each in live["waiting"].items()}
    return waiting | {name: (definition, False) for name, definition in live["tasks"].items()}


def print_difference(console: Console, found: Difference) -> None:
    against = (
        "nothing is live yet" if found.live is None else f"compared with generation {found.live}"
    )
    console.print(Text(f"{against}:", "dim"))
    names = asdict(found.tasks)
    for kind, mark, style in KINDS:
        for name in names[kind]:
            _task(console, found, (mark, style), name)
    idle = [name for name in found.waiting if name not in {*names["added"], *names["changed"]}]
    for name in idle:
        _task(console, found, ("=", "dim"), name)
    if others := len(found.unchanged - {*idle}):
        console.print(Text(f"  = {others} unchanged", "dim"))
    if not found.exact:
        told = "which of the other tasks change is known when it is published: the stack compiles "
        print_paragraph(console, Text(f"{told}in another way than this command", "dim"))


def _task(console: Console, found: Difference, look: tuple[str, str], name: str) -> None:
    mark, style = look
    task = Text.assemble("  ", (f"{mark} {name}", style))
    reasons = ", ".join(found.waiting.get(name, ()))
    if not reasons:
        console.print(task, soft_wrap=True)
        return
    waits = Text.assemble(("accepted, does not run yet: ", "yellow"), reasons)
    line = Text.assemble(task, "  ", waits)
    if line.cell_len <= console.width:
        console.print(line, soft_wrap=True)
    else:
        console.print(task, soft_wrap=True)
        print_paragraph(console, waits)


def removal_question(found: Difference) -> str:
    """What is asked before a push that removes something."""
    names = ", ".join(found.tasks.removed)
    removed = words.count(len(found.tasks.removed), "task")
    return f"Remove {removed} ({names})? What it made stays, and it never runs again."
