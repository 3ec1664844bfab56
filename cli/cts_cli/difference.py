"""What a push changes of what is live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

from cts.config.compile import CONTRACT, Compiled
from cts_cli import words
from cts_cli.errors import CommandError
from cts_cli.output import paragraph

KINDS = (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))


@dataclass(frozen=True, slots=True)
class Difference:
    """Task names, sorted. A changed task is one that runs again."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: list[str]
    waiting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What is accepted and does not run yet, and why."""
    live: int | None = None
    """The live generation's number."""
    exact: bool = True
    """Whether what is changed can be told: the same compiler made both."""

    def tells(self, kind: str) -> list[str]:
        names: list[str] = getattr(self, kind)
        return names


def between(live: Mapping[str, Any] | None, compiled: Compiled) -> Difference:
    """`live`: as the reader answers it. Raises CommandError if it is of an older version."""
    if live is not None and not live.keys() >= {"contract", "tasks", "waiting"}:
        raise CommandError("the stack is older than this command: deploy this version of it first")
    before, after = _before(live), _after(compiled)
    both = before.keys() & after.keys()
    exact = live is None or live["contract"] == CONTRACT
    same = {name for name in both if exact and before[name] == after[name]}
    return Difference(
        added=sorted(after.keys() - both),
        changed=sorted(both - same) if exact else [],
        removed=sorted(before.keys() - both),
        unchanged=sorted(same),
        waiting={name: compiled.waiting[name].reasons for name in sorted(compiled.waiting)},
        live=live["generation"] if live else None,
        exact=exact,
    )


def _before(live: Mapping[str, Any] | None) -> dict[str, tuple[str, bool]]:
    """Each task's definition, and whether it has to wait."""
    if live is None:
        return {}
    waiting = {name: (each["definition"], True) for name, each in live["waiting"].items()}
    return waiting | {name: (digest, False) for name, digest in live["tasks"].items()}


def _after(compiled: Compiled) -> dict[str, tuple[str, bool]]:
    waiting = {name: (each.definition, True) for name, each in compiled.waiting.items()}
    return waiting | {name: (each.definition, False) for name, each in compiled.tasks.items()}


def show(console: Console, found: Difference) -> None:
    against = (
        "nothing is live yet" if found.live is None else f"compared with generation {found.live}"
    )
    console.print(Text(f"{against}:", "dim"))
    for kind, mark, style in KINDS:
        for name in found.tells(kind):
            _task(console, found, (mark, style), name)
    idle = [name for name in found.waiting if name not in {*found.added, *found.changed}]
    for name in idle:
        _task(console, found, ("=", "dim"), name)
    if others := len({*found.unchanged} - {*idle}):
        console.print(Text(f"  = {others} unchanged", "dim"))
    if not found.exact:
        told = "which of the other tasks change is known when it is published: the stack compiles "
        paragraph(console, Text(f"{told}in another way than this command", "dim"))


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
        paragraph(console, waits)


def question(found: Difference) -> str:
    """What is asked before a push that removes something."""
    names = ", ".join(found.removed)
    removed = words.count(len(found.removed), "task")
    return f"Remove {removed} ({names})? What it made stays, and it never runs again."
