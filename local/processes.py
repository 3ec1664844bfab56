"""Processes of this machine."""

from __future__ import annotations

from pathlib import Path


def children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def descendants(parent: int) -> list[int]:
    near = children(parent)
    return near + [each for child in near for each in descendants(child)]
