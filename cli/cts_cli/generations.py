"""The generations so far: what each one changed. Each names the one before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from cts import keys
from cts.config.differences import Differences, differences, runs
from cts.generation import Generation
from cts.watch.snapshot import digest_of
from cts_cli import difference, grid, words
from cts_cli.aws import Stack
from cts_cli.errors import CommandError
from cts_cli.output import out
from cts_cli.screen import Text

MOST_NAMED = 4
"""Tasks named for each kind of change. The others are counted."""


SWITCHED = (("enabled", "green"), ("disabled", "yellow"))
"""What may be done to a task that does not run it, and its style."""


@dataclass(frozen=True, slots=True)
class Changes(Differences):
    """What a generation does to the tasks of the one before it."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    generation: Generation
    at: datetime


def read(stack: Stack, number: int, digest: str) -> Stored:
    """Raises CommandError if the record is gone, or is not what was stored."""
    stored = stack.generation(number, digest)
    if stored is None:
        raise Gone(number)
    if (found := digest_of(stored.body)) != digest:
        key = keys.generation(number, digest)
        raise CommandError(
            f"{key} in bucket '{stack.work_bucket}' was changed after it was stored, as its "
            f"content has the digest {found}: delete its newest version"
        )
    generation = Generation.from_json(stored.body)
    return Stored(
        replace(generation, tasks=generation.listed), stored.at
    )  # drafts are not tasks yet


class Gone(CommandError):
    def __init__(self, number: int) -> None:
        super().__init__(
            f"the record of generation {number} is gone, so earlier ones can't be found "
            "either: push a folder instead"
        )


def newest(
    stack: Stack, live: Mapping[str, Any] | None, limit: int
) -> list[tuple[Stored, Changes | None]]:
    """The newest generations, latest first, and what each one did: None if that is not known."""
    found = list(islice(_back(stack, live), limit + 1))
    told: list[tuple[Stored, Changes | None]] = []
    for at, stored in enumerate(found[:limit]):
        changes = None
        if at + 1 < len(found):
            changes = _between(found[at + 1].generation, stored.generation)
        elif not stored.generation.former and stored.generation.number == 1:
            changes = Changes(**asdict(differences({}, runs(stored.generation))))
        told.append((stored, changes))
    return told


def _between(before: Generation, after: Generation) -> Changes:
    both = before.tasks.keys() & after.tasks.keys()
    switched = [
        name for name in sorted(both) if before.tasks[name].enabled != after.tasks[name].enabled
    ]
    return Changes(
        **asdict(differences(runs(before), runs(after))),
        enabled=tuple(name for name in switched if after.tasks[name].enabled),
        disabled=tuple(name for name in switched if not after.tasks[name].enabled),
    )


def _back(stack: Stack, live: Mapping[str, Any] | None) -> Iterator[Stored]:
    """From the live generation as far back as there are records."""
    at, digest = (live["generation"], live["digest"]) if live else (0, "")
    while digest:
        try:
            stored = read(stack, at, digest)
        except Gone:
            return
        yield stored
        at, digest = at - 1, stored.generation.former


def facts(found: Sequence[tuple[Stored, Changes | None]]) -> dict[str, Any]:
    """For JSON output."""
    return {
        "generations": [
            {
                "generation": stored.generation.number,
                "published_at": stored.at.isoformat(),
                "tasks": len(stored.generation.tasks) + len(stored.generation.waiting),
                "changes": asdict(changes) if changes else None,
            }
            for stored, changes in found
        ]
    }


def print_generations(found: Sequence[tuple[Stored, Changes | None]], now: datetime) -> None:
    console = out()
    if not found:
        console.print("no configuration published yet: push one with `cts push`")
        return
    rows = [_row(stored, changes, now, live=at == 0) for at, (stored, changes) in enumerate(found)]
    grid.print_rows(console, rows, ("tasks",))


def _row(stored: Stored, changes: Changes | None, now: datetime, *, live: bool) -> grid.Row:
    generation = stored.generation
    number = Text(str(generation.number), "bold")
    at = f"{stored.at.astimezone():%Y-%m-%d %H:%M}  {words.ago(stored.at.isoformat(), now)}"
    cells = {
        "generation": number.append(" live", "green") if live else number,
        "published": Text(at),
        "tasks": Text(str(len(generation.tasks) + len(generation.waiting))),
        "changes": _changes(changes),
    }
    return grid.Row(cells)


def _changes(changes: Changes | None) -> Text:
    if changes is None:
        return Text("not known", "dim")
    found, named = Text(), asdict(changes)
    switched = [(kind, f"{kind} ", style) for kind, style in SWITCHED]
    for kind, mark, style in (*difference.KINDS, *switched):
        names = [*named[kind]]
        told = [f"{mark}{name}" for name in names[:MOST_NAMED]]
        if (more := len(names) - MOST_NAMED) > 0:
            told.append(f"and {more} more")
        for each in told:
            found.append(" " if found else "").append(each, style)
    return found or Text("no task added, changed or removed", "dim")
