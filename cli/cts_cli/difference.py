"""What a push changes of what is live."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from cts.config.compile import CONTRACT, Compiled, Differences, Runs, differences, runs
from cts_cli import words
from cts_cli.output import print_paragraph

KINDS = (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))
SHOWN = (*KINDS, ("stopped", "!", "red"))


@dataclass(frozen=True, slots=True)
class Difference:
    tasks: Differences
    stopped: tuple[str, ...]
    """Of the changed ones: they run now, and would have to wait."""
    settings: Mapping[str, tuple[str, ...]]
    """What changes of a task without running it, in words."""
    disabled: Set[str]
    """Of all that the push holds."""
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
    running = live["tasks"] if live else {}
    settings = {
        name: told
        for name in sorted(compiled.tasks.keys() & running.keys())
        if (told := tuple(_settings(running[name], compiled, name)))
    }
    exact = live is None or live["contract"] == CONTRACT
    same = (before.keys() & after.keys()) - {*tasks.changed, *settings}
    return Difference(
        tasks=tasks if exact else replace(tasks, changed=()),
        stopped=tuple(sorted(running.keys() & compiled.waiting.keys())),
        settings=settings,
        disabled={name for name, entry in compiled.tasks.items() if not entry.enabled},
        unchanged=same if exact else set(),
        waiting={name: compiled.waiting[name].reasons for name in sorted(compiled.waiting)},
        live=live["generation"] if live else None,
        exact=exact,
    )


def _live_runs(live: Mapping[str, Any]) -> Runs:
    """What `runs` makes of a generation, from the reader's answer."""
    waiting = {name: (each["definition"], True) for name, each in live["waiting"].items()}
    return waiting | {name: (each["definition"], False) for name, each in live["tasks"].items()}


def _settings(live: Mapping[str, Any], compiled: Compiled, name: str) -> Iterator[str]:
    """`live`: of that task."""
    entry = compiled.tasks[name]
    if entry.enabled != live["enabled"]:
        yield "enabled: runs what it missed" if entry.enabled else "disabled: no longer follows"
    buffer = entry.buffer._asdict() if entry.buffer else None
    if buffer != live["buffer"]:
        told = "buffer period {min:g} s to {max:g} s"
        yield told.format(**buffer) if buffer else "no buffer period"


def print_difference(console: Console, found: Difference) -> None:
    against = (
        "nothing is live yet" if found.live is None else f"compared with generation {found.live}"
    )
    console.print(Text(f"{against}:", "dim"))
    names = _shown(found)
    for kind, mark, style in SHOWN:
        for name in names[kind]:
            _task(console, found, (mark, style), name)
    told = {name for kind in names.values() for name in kind}
    idle = [name for name in found.waiting if name not in told]
    for name in idle:
        _task(console, found, ("=", "dim"), name)
    if others := len(found.unchanged - {*idle}):
        console.print(Text(f"  = {others} unchanged", "dim"))
    if not found.exact:
        what = "which of the other tasks change is known when it is published: the stack compiles "
        print_paragraph(console, Text(f"{what}in another way than this command", "dim"))


def _shown(found: Difference) -> dict[str, list[str]]:
    """The names by what they are shown as."""
    changed = ({*found.tasks.changed} - {*found.stopped}) | found.settings.keys()
    return asdict(found.tasks) | {"changed": sorted(changed), "stopped": [*found.stopped]}


def _task(console: Console, found: Difference, look: tuple[str, str], name: str) -> None:
    mark, style = look
    task = Text.assemble("  ", (f"{mark} {name}", style))
    told = _told(found, name)
    line = Text.assemble(task, "  ", told)
    line.rstrip()
    if not told or line.cell_len <= console.width:
        console.print(line, soft_wrap=True)
    else:
        console.print(task, soft_wrap=True)
        print_paragraph(console, told)


def _told(found: Difference, name: str) -> Text:
    """What is said of a task beside its name."""
    reasons = ", ".join(found.waiting.get(name, ()))
    if name in found.stopped:
        return Text.assemble(("stops running: ", "red"), f"needs {reasons}")
    if reasons:
        return Text.assemble(("accepted, does not run yet: ", "yellow"), reasons)
    settings = found.settings.get(name, ())
    if settings:
        again = name in found.tasks.changed and name not in found.disabled
        return Text(", ".join(["runs again"] * again + [*settings]))
    return Text("(disabled)" if name in found.disabled else "", "dim")


def ends(found: Difference) -> str:
    """`removes 1 task (old), stops 1 task (fw)`; empty if each task goes on."""
    kinds = (("removes", found.tasks.removed), ("stops", found.stopped))
    return ", ".join(
        f"{verb} {words.count(len(names), 'task')} ({', '.join(names)})"
        for verb, names in kinds
        if names
    )


def question(found: Difference) -> str:
    """What is asked before a push that ends something."""
    return f"This {ends(found)}. What was made stays, and follows nothing any more. Push it?"
