"""What happened to what a condition looks at, since a run was fed with it. By `events` of
`serverless`, only some of it triggers the task."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cts.stored import dump, load
from cts.watch.query import Kind
from cts.watch.snapshot import EMPTY, of


class Happened(StrEnum):
    """To a thing that the module gets: an instance, service, key, node or intention."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    """More than its health."""
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Thing:
    digest: str = ""
    """Of all that triggers tasks, but its health."""
    health: str = ""


Things = Mapping[str, Thing]
"""By name."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A view."""

    digest: str
    """Of what triggers tasks."""
    things: Things


@dataclass(frozen=True, slots=True)
class Fed:
    """What a run's condition looked at when it was claimed."""

    definition: str
    views: Mapping[str, Seen]
    """By ID."""


def things_of(kind: Kind, value: list[Any]) -> Things:
    """What a view's value consists of. Raises KeyError or TypeError for rows that another version
    of the program has stored."""
    rows: dict[str, list[Any]] = defaultdict(list)
    for row in kind.looked_at(value) if kind.looked_at else value:
        for name in kind.members([row]):
            rows[name].append(row)
    return {name: _thing(kind.health, each) for name, each in rows.items()}


def _thing(health: str, rows: list[Any]) -> Thing:
    if not health:
        return Thing(of(rows).digest)
    rest = [{name: row[name] for name in row.keys() - {health}} for row in rows]
    return Thing(of(rest).digest, " ".join(row[health] for row in rows))


def differing(fed: Fed, now: Mapping[str, str]) -> frozenset[str]:
    """IDs of the views that are not as they were. `now`: the digests of what triggers tasks."""
    before = {view: seen.digest for view, seen in fed.views.items()}
    return frozenset(
        view
        for view in before.keys() | now.keys()
        if before.get(view, EMPTY.digest) != now.get(view, EMPTY.digest)
    )


def counts(
    events: Collection[str], fed: Fed, views: Collection[str], now: Mapping[str, Things]
) -> bool:
    """Whether one of the events happened in one of the views. `now`: what is in them; nothing in
    those that are not there."""
    before = {view: seen.things for view, seen in fed.views.items()}
    return any(happened(before.get(v, {}), now.get(v, {})).intersection(events) for v in views)


def happened(before: Things, now: Things) -> frozenset[Happened]:
    both = [(before[name], now[name]) for name in before.keys() & now.keys()]
    found = {
        Happened.ADDED: bool(now.keys() - before.keys()),
        Happened.REMOVED: bool(before.keys() - now.keys()),
        Happened.CHANGED: any(former.digest != thing.digest for former, thing in both),
        Happened.HEALTH: any(former.health != thing.health for former, thing in both),
    }
    return frozenset(each for each, did in found.items() if did)


# ---- stored -----------------------------------------------------------------------------------


def written(fed: Mapping[str, Fed]) -> bytes:
    return json.dumps(dump(fed)).encode()


def read(stored: bytes) -> dict[str, Fed]:
    """Empty for what this version of the program can't read."""
    try:
        return {run: load(Fed, each) for run, each in json.loads(stored).items()}
    except (AttributeError, ValueError):
        return {}
