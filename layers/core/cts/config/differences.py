"""What a generation does to the tasks of the former one."""

from collections.abc import Mapping
from dataclasses import dataclass

from cts.config.compile import Compiled
from cts.generation import Generation

Runs = Mapping[str, tuple[str, bool]]
"""Each task's definition, and whether it has to wait."""


@dataclass(frozen=True, slots=True)
class Differences:
    """Task names, sorted. A changed task is one that runs again."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def runs(of: Generation | Compiled) -> Runs:
    """Without drafts, which are not tasks yet."""
    waiting = {name: (task.definition, True) for name, task in of.waiting.items()}
    tasks = {name: entry for name, entry in of.tasks.items() if not entry.draft}
    return waiting | {name: (entry.definition, False) for name, entry in tasks.items()}


def differences(before: Runs, after: Runs) -> Differences:
    """What a generation does to the tasks of the former one. A task that had to wait and now
    runs is a changed one."""
    both = before.keys() & after.keys()
    return Differences(
        added=tuple(sorted(after.keys() - both)),
        changed=tuple(sorted(name for name in both if before[name] != after[name])),
        removed=tuple(sorted(before.keys() - both)),
    )
