"""What came, left and changed between two snapshots of a view. Only names are told, never values:
a KV value, a tag or metadata may be a secret."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from cts.events import MOST_LISTED
from cts.watch.query import Kind
from cts.watch.snapshot import Snapshot

T = TypeVar("T")

LONGEST_TEXT = 200
"""In characters. Consul takes names of any length."""
MOST_BYTES = 9_000
"""Of a list, as JSON: an event has up to three, and at most 32 KB."""
MOST_IN_A_LINE = 10


class What(StrEnum):
    CAME = "came"
    LEFT = "left"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    """The former snapshot is gone: what differs in this view can't be told."""


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    view: str
    """For people."""
    what: What
    name: str = ""
    """Of the instance, service, key, node or intention; empty if unknown."""
    attributes: tuple[str, ...] = ()
    """Those that changed, where it has any."""


def differences(
    view: str, kind: Kind, former: Snapshot | None, now: Snapshot
) -> Iterator[Difference]:
    """`former`: None if it is gone. A view that was not there before was EMPTY."""
    try:
        before, after = _by_name(kind, former) if former else None, _by_name(kind, now)
    except (KeyError, TypeError):  # another version of the program has stored other rows
        before = None
    if before is None:
        yield Difference(view, What.UNKNOWN)
        return
    yield from (Difference(view, What.CAME, name) for name in after.keys() - before.keys())
    yield from (Difference(view, What.LEFT, name) for name in before.keys() - after.keys())
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            changed = tuple(_attributes(before[name], after[name]))
            yield Difference(view, What.CHANGED, name, changed)


def _by_name(kind: Kind, snapshot: Snapshot) -> dict[str, Any]:
    return {name: row for row in snapshot.value for name in kind.members([row])}


def _attributes(before: Any, after: Any) -> list[str]:
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


class Counts(NamedTuple):
    """How many of each; of the unknown, views."""

    came: int
    left: int
    changed: int
    unknown: int


def counts(found: Iterable[Difference]) -> Counts:
    counted = Counter(each.what for each in found)
    return Counts(*(counted[what] for what in What))


def first(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """The first of them as JSON values, sorted, in limited bytes."""
    return _limited([
        {
            "view": short(each.view),
            "what": each.what.value,
            "name": short(each.name),
            "attributes": list(each.attributes),
        }
        for each in sorted(found)[:MOST_LISTED]
    ])  # fmt: skip


def first_texts(texts: Iterable[str]) -> list[str]:
    """The same of texts for people."""
    return _limited([short(text) for text in sorted(texts)[:MOST_LISTED]])


def _limited(items: list[T]) -> list[T]:
    """As many as fit into `MOST_BYTES`."""
    sizes = accumulate(len(json.dumps(each)) + len(", ") for each in items)
    return [each for each, size in zip(items, sizes, strict=True) if size <= MOST_BYTES]


def told(found: Iterable[Difference]) -> dict[str, Any]:
    """Counts of all, and the first of them."""
    every = list(found)
    return {**counts(every)._asdict(), "first": first(every)}


def in_a_line(first: Sequence[Mapping[str, Any]], total: int) -> str:
    """Some of `total` differences, as `first` returns them: `service web: node-2/web-2 came`."""
    shown = first[:MOST_IN_A_LINE]
    views = [
        f"{view}: " + ", ".join(f"{each['name']} {each['what']}".strip() for each in found)
        for view, found in groupby(shown, key=itemgetter("view"))
    ]
    more = [f"and {total - len(shown)} more"] if total > len(shown) else []
    return "; ".join(views + more)


def short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
