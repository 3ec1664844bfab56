"""The difference that a push makes to what is live."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from cts.config.compile import CONTRACT, Compiled
from cts.config.differences import Differences, Runs, differences, runs
from cts_cli import words
from cts_cli.output import print_line, print_paragraph
from cts_cli.screen import Console, Text

KINDS = (("added", "+", "green"), ("changed", "~", "yellow"), ("removed", "-", "red"))
SHOWN = (*KINDS, ("stopped", "!", "red"))


@dataclass(frozen=True, slots=True)
class Difference:
    tasks: Differences
    stopped: tuple[str, ...]
    """Changed tasks that run now but would no longer."""
    replaced: tuple[str, ...]
    """Tasks that were created through the API and that the push defines, too."""
    settings: Mapping[str, tuple[str, ...]]
    """Changes to a task that do not run it, in words."""
    kept: Mapping[str, bool]
    """Tasks that stay enabled or disabled, as set through the API, whatever the push says."""
    deleted: tuple[str, ...]
    """Tasks of the push that were deleted through the API, and stay so."""
    disabled: Set[str]
    """All tasks that are disabled after the push."""
    unchanged: Set[str]
    waiting: Mapping[str, tuple[str, ...]]
    """Tasks that are accepted but do not run yet, and why."""
    live: int | None
    """The live generation's number."""
    exact: bool
    """Whether the changed tasks are known: both sides were made by the same compiler."""


def compare(live: Mapping[str, Any] | None, compiled: Compiled, pushed: Compiled) -> Difference:
    """`live`: as the reader returns it. `compiled`: of the push and of what people have made of
    tasks through the API. `pushed`: of the push alone."""
    before, after = _live_runs(live) if live else {}, runs(compiled)
    running = live["tasks"] if live else {}
    listed = {**running, **live["waiting"]} if live else {}
    created = {name for name, each in listed.items() if each.get("created")}
    made = {name for name, entry in compiled.tasks.items() if entry.created}
    made |= {name for name, entry in compiled.waiting.items() if entry.created}
    if not made:  # of an older stack, or what does not fit together: they stay
        before = {name: each for name, each in before.items() if name not in created - after.keys()}
        made = created - after.keys()
    tasks = differences(before, after)
    settings = {
        name: told
        for name in sorted(compiled.tasks.keys() & running.keys())
        if (told := tuple(_settings(running[name], compiled, name)))
    }
    exact = live is None or live["contract"] == CONTRACT
    same = (before.keys() & after.keys()) - {*tasks.changed, *settings, *(created - made)}
    return Difference(
        tasks=tasks if exact else replace(tasks, changed=()),
        stopped=tuple(sorted(running.keys() & compiled.waiting.keys())),
        replaced=tuple(sorted(created - made)),
        settings=settings,
        kept={
            name: entry.enabled
            for name, entry in sorted(compiled.tasks.items())
            if name in pushed.tasks and pushed.tasks[name].enabled != entry.enabled
        },
        deleted=tuple(sorted(_names(pushed) - _names(compiled))),
        disabled={name for name, entry in compiled.tasks.items() if not entry.enabled},
        unchanged=same if exact else set(),
        waiting={name: compiled.waiting[name].reasons for name in sorted(compiled.waiting)},
        live=live["generation"] if live else None,
        exact=exact,
    )


def _names(compiled: Compiled) -> Set[str]:
    return compiled.tasks.keys() | compiled.waiting.keys()


def _live_runs(live: Mapping[str, Any]) -> Runs:
    """What `runs` returns for a generation, built from the reader's response."""
    waiting = {name: (each["definition"], True) for name, each in live["waiting"].items()}
    return waiting | {name: (each["definition"], False) for name, each in live["tasks"].items()}


def _settings(live: Mapping[str, Any], compiled: Compiled, name: str) -> Iterator[str]:
    """`live`: that task in the live generation."""
    entry = compiled.tasks[name]
    if entry.enabled != live["enabled"]:
        yield "enabled: catches up on changes" if entry.enabled else "disabled: no longer runs"
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
    for name in found.deleted:
        text = f"{name} stays deleted, as set through the API: it comes back when a push changes it"
        print_line(console, "!", "yellow", text)
    if not found.exact:
        what = "the stack's version differs from this command's, so which of the other tasks "
        print_paragraph(console, Text(f"{what}change is only known once published", "dim"))


def _shown(found: Difference) -> dict[str, list[str]]:
    """Task names by the kind of change they are shown as."""
    changed = ({*found.tasks.changed} - {*found.stopped}) | found.settings.keys()
    changed |= {*found.replaced} - {*found.stopped}
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
    """The text next to a task's name."""
    reasons = ", ".join(found.waiting.get(name, ()))
    if name in found.stopped:
        return Text.assemble(("stops running: ", "red"), f"needs {reasons}")
    if reasons:
        return Text.assemble(("accepted, does not run yet: ", "yellow"), reasons)
    settings = found.settings.get(name, ())
    if name in found.replaced:
        return Text("replaces the task that was created through the API")
    if settings:
        again = name in found.tasks.changed and name not in found.disabled
        return Text(", ".join(["runs again"] * again + [*settings]))
    return Text("(disabled)" if name in found.disabled else "", "dim")


def facts(found: Difference) -> dict[str, Any]:
    """For JSON output. `exact` is false if some changed tasks may be missing."""
    return {
        "live": found.live,
        **asdict(found.tasks),
        "stopped": found.stopped,
        "replaced": found.replaced,
        "deleted": found.deleted,
        "settings": found.settings,
        "waiting": found.waiting,
        "unchanged": sorted(found.unchanged),
        "exact": found.exact,
    }


def ends(found: Difference) -> str:
    """`remove 1 task (old), stop 1 task (fw)`; empty if every task stays what it is."""
    kinds = (
        ("remove", found.tasks.removed, ""),
        ("stop", found.stopped, ""),
        ("replace", found.replaced, " created through the API"),
    )
    return ", ".join(
        f"{verb} {words.count(len(names), 'task')} ({', '.join(names)}){more}"
        for verb, names, more in kinds
        if names
    )


def question(found: Difference) -> str:
    """The question to ask before a push that removes, stops or replaces tasks."""
    count = len(found.tasks.removed) + len(found.stopped)
    whose = "Its" if count == 1 else "Their"
    stays = f" {whose} resources stay, but are no longer updated." if count else ""
    return f"This would {ends(found)}.{stays} Push?"
