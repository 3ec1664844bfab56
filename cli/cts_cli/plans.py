"""Plan the tasks that a push holds, and show the plans."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

from cts_cli import output, waits, words
from cts_cli.client import Api, Reader
from cts_cli.difference import Difference
from cts_cli.errors import CommandError
from cts_cli.task_commands import DONE

LONGEST_START = 15 * 60.0
"""Seconds until a plan begins: until then the poller has read what the task watches, and looked
for a state that CTS has left."""


class Holding(StrEnum):
    """Which tasks a push holds."""

    NONE = "none"
    NEW = "new"
    CHANGED = "changed"
    """New ones, too."""


def holding(*, inspect: bool, adopt: bool) -> Holding:
    """What the options of a push mean."""
    if inspect:
        return Holding.CHANGED
    return Holding.NEW if adopt else Holding.NONE


def held(holding: Holding, changes: Difference, runnable: Collection[str]) -> list[str]:
    """The tasks to hold. `runnable`: those that do not wait for what is not supported yet."""
    found = {*changes.tasks.added} if holding is not Holding.NONE else set[str]()
    if holding is Holding.CHANGED:
        if not changes.exact:
            raise CommandError(
                "which tasks would change can't be told, because the stack is of another version "
                "than this command: install the same one"
            )
        found |= {*changes.tasks.changed, *changes.settings}
    return sorted(found & set(runnable))


def show(
    api: Api, reader: Reader, tasks: Sequence[str], *, as_json: bool
) -> Sequence[Mapping[str, Any]]:
    """Plan held tasks, all at once, and show one plan after another. Returns the runs."""
    requests = {task: api.post("tasks", task, "inspect")["asked"]["id"] for task in tasks}
    found = []
    with output.progress(f"planning {words.count(len(tasks), 'task')}") as progress:
        for task, request in requests.items():
            ticks = waits.every(1.0, LONGEST_START)
            run_id = waits.for_run(reader, task, request, ticks, progress.tell)
            show = (lambda _: None) if as_json else progress.show
            found.append(waits.along(reader, run_id, waits.every(1.0), show, progress.tell))
            if not as_json:
                output.print_ended(found[-1])
    return found


def are_made(runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all of them succeeded."""
    return all(_is_made(run) for run in runs)


def _is_made(run: Mapping[str, Any]) -> bool:
    return run["status"] in DONE


def tell_next(runs: Sequence[Mapping[str, Any]]) -> None:
    """What to do with held tasks after their plans: only those with a plan may be released."""
    _tell_held([run["task"] for run in runs])
    if made := [run["task"] for run in runs if _is_made(run)]:
        _tell_commands("once you have seen the plans:", "cts release {}", made)
    if failed := [run["task"] for run in runs if not _is_made(run)]:
        plans, them = ("plan", "it") if len(failed) == 1 else ("plans", "them")
        told = f"{plans} failed: {', '.join(failed)}; do not release {them} without a plan"
        output.print_line(output.out(), "✗", "red", told)
        _tell_commands("once you have fixed the cause:", "cts inspect {} --wait", failed)


def tell_unplanned(tasks: Sequence[str]) -> None:
    """What to do with held tasks whose plans were not asked for."""
    _tell_held(tasks)
    text = "see the plan of each one before you release it with `cts release TASK`:"
    _tell_commands(text, "cts inspect {} --wait", tasks)


def _tell_held(tasks: Sequence[str]) -> None:
    are = "is" if len(tasks) == 1 else "are"
    told = f"{', '.join(tasks)} {are} held: nothing is applied"
    output.print_line(output.out(), "!", "yellow", told)


def _tell_commands(when: str, command: str, tasks: Sequence[str]) -> None:
    console = output.out()
    console.print(f"  {when}")
    for task in tasks:
        console.print(f"  {command.format(task)}", style="cyan", soft_wrap=True)
