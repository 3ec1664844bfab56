"""Processes of this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def children(parent: int) -> list[int]:
    return [pid for pid, its_parent in parents().items() if its_parent == parent]


def descendants(*ancestors: int, among: dict[int, int] | None = None) -> list[int]:
    """All that these processes have started, and what those have. `among`: see `parents`."""
    known = parents() if among is None else among
    found: list[int] = []
    generation = set(ancestors)
    while generation := {pid for pid, parent in known.items() if parent in generation}:
        found += generation
    return found


def parents() -> dict[int, int]:
    """The parent of each process. Looking takes long: 10 ms for 200 processes."""
    found = {}
    for each in os.scandir("/proc"):
        if each.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stat = Path(each.path, "stat").read_bytes()
                found[int(each.name)] = int(stat.rpartition(b")")[2].split()[1])
    return found
