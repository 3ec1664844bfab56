"""Conversion to and from items of the table. Old and new releases can read each other's items
(`cts/stored.py`)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from cts import keys
from cts.adapters.dynamodb import Item, key_of, named
from cts.errors import Unreadable
from cts.events import ViewFresh, ViewStale
from cts.generation import Attempt, Current, Rejected
from cts.run.model import Run
from cts.run.state import TaskState, state_from, unreadable_state
from cts.stored import dump, load, parted
from cts.watch.lease import Lease
from cts.watch.stale import Stale, StaleViews
from cts.watch.view import Chunk, Row

VIEW_EVENTS: Mapping[str, type[ViewStale | ViewFresh]] = {
    each.detail_type: each for each in (ViewStale, ViewFresh)
}

T = TypeVar("T")


def record(kind: type[T], item: Item) -> T:
    """Read a dataclass written by `_texts`. Raises Unreadable."""
    try:
        return load(kind, _raw(item))
    except (KeyError, ValueError) as error:
        raise Unreadable(f"reading {named(item)}: {error}") from error


def _raw(item: Item) -> Any:
    """Combine the parts written by `_texts`. Raises KeyError or ValueError."""
    body, newer = json.loads(item["body"]["S"]), _newer(item)
    return body | newer if newer and isinstance(body, dict) else body


def _newer(item: Item) -> dict[str, Any]:
    newer = json.loads(item["newer"]["S"]) if "newer" in item else {}
    if not isinstance(newer, dict):
        raise ValueError("its newer part must be an object")
    return newer


def _texts(body: Mapping[str, Any], newer: Mapping[str, Any]) -> Item:
    """An item's `body`, which the first release can read too, and the newer fields."""
    texts = {"body": body, "newer": newer} if newer else {"body": body}
    return {name: _json(text) for name, text in texts.items()}


def _json(value: Any) -> Item:
    return {"S": json.dumps(value, separators=(",", ":"))}


def _numbered(key: tuple[str, str], version: int) -> Item:
    """The head of an item, with its next version."""
    return {**key_of(key), "version": {"N": str(version + 1)}}


# ---- watch ----------------------------------------------------------------------------------


def of_lease(lease: Lease) -> Item:
    return {**key_of(keys.LEASE), "epoch": {"N": str(lease.epoch)}, **_texts(*parted(lease))}


def of_chunk(chunk: Chunk) -> Item:
    rows = {
        view: [row.index, row.digest, *([True] if row.filtered else [])]
        for view, row in sorted(chunk.rows.items())
    }
    newer = {
        "token": sorted(view for view, row in chunk.rows.items() if row.token),
        "looked_at": {view: row.looked_at for view, row in chunk.rows.items() if row.looked_at},
    }
    head = _numbered(keys.chunk(chunk.name), chunk.version)
    return {**head, **_texts(rows, {name: each for name, each in newer.items() if each})}


def chunk(item: Item) -> Chunk:
    newer = _newer(item)
    with_token, looked_at = frozenset(newer.get("token", ())), newer.get("looked_at", {})
    rows = {
        view: replace(_row(*row), token=view in with_token, looked_at=looked_at.get(view, ""))
        for view, row in json.loads(item["body"]["S"]).items()
    }
    return Chunk(item["sk"]["S"].removeprefix("VIEWS#"), int(item["version"]["N"]), rows)


def _row(index: int, digest: str, filtered: object = False, *_newer: object) -> Row:
    return Row(index, digest, filtered is True)


def of_stale_views(stale: StaleViews) -> Item:
    body = {
        "views": {view: [each.view, each.since, each.why] for view, each in stale.views.items()},
        "count": stale.count,
        "unannounced": [{"type": each.detail_type, **dump(each)} for each in stale.unannounced],
    }
    return {**_numbered(keys.STALE, stale.version), "body": _json(body)}


def stale_views(item: Item) -> StaleViews:
    body = json.loads(item["body"]["S"])
    return StaleViews(
        version=int(item["version"]["N"]),
        views={view: Stale(*facts[:3]) for view, facts in body["views"].items()},
        count=body["count"],
        unannounced=tuple(
            load(VIEW_EVENTS[raw["type"]], raw)
            for raw in body["unannounced"]
            if raw["type"] in VIEW_EVENTS  # a newer release may have more
        ),
    )


# ---- tasks and runs -------------------------------------------------------------------------


def of_state(state: TaskState) -> Item:
    head = _numbered(keys.state(state.task), state.version)
    if state.unreadable:
        return {**head, "body": {"S": state.unreadable}}
    body, newer = parted(state)
    del body["version"], body["unreadable"]
    return {**head, **_texts(body, newer)}


def state(item: Item) -> TaskState:
    """A state that can't be read only stops its own task."""
    version, raw = int(item["version"]["N"]), None
    try:
        raw = _raw(item)
        return state_from(raw, version)
    except (KeyError, ValueError) as error:
        task = item["sk"]["S"].removeprefix("TASK#")
        is_both = raw is not None and "newer" in item
        text = json.dumps(raw) if is_both else item.get("body", {}).get("S", "{}")
        return unreadable_state(task, text, version, str(error))


def state_of(item: Item | None, task: str) -> TaskState:
    """A task without an item is new."""
    return state(item) if item else TaskState(task)


def slots_of(item: Item | None) -> frozenset[str]:
    return frozenset(item["runs"]["SS"]) if item and "runs" in item else frozenset()


def of_run(run: Run, *, kept_days: int) -> Item:
    body, newer = parted(run)
    del body["build"]
    newer.pop("renewed_at", None)
    newer.pop("waits", None)
    return {
        **key_of(keys.run(run.task, run.id)),
        "kind": {"S": "RUN"},
        "started_at": {"S": f"{run.claimed_at:017.6f}"},
        "expires": {"N": str(int(run.claimed_at) + kept_days * 86400)},
        **_texts(body, newer),
        **of_build(run),
    }


def of_build(run: Run) -> Item:
    """The fields that are written while it runs. They are outside of the JSON texts."""
    renewed = {} if run.renewed_at is None else {"renewed_at": {"N": repr(run.renewed_at)}}
    waits = {} if run.waits is None else {"waits": {"S": run.waits}}
    return {**({"build": {"S": run.build}} if run.build else {}), **renewed, **waits}


def run(item: Item) -> Run:
    """Raises Unreadable."""
    renewed = item.get("renewed_at", {}).get("N")
    return replace(
        record(Run, item),
        build=item.get("build", {}).get("S"),
        renewed_at=float(renewed) if renewed else None,
        waits=item.get("waits", {}).get("S"),
    )


def readable_runs(found: Iterable[Item]) -> Iterator[Run]:
    for item in found:
        with suppress(Unreadable):
            yield run(item)


# ---- what is published ------------------------------------------------------------------------


def of_current(current: Current) -> Item:
    number = {"N": str(current.number)}
    return {**key_of(keys.CURRENT), "number": number, **_texts(*parted(current))}


def current_of(item: Item | None) -> Current | None:
    return record(Current, item) if item else None


def of_rejected(rejected: Rejected) -> Item:
    at = {"N": repr(rejected.rejected_at)}
    return {**key_of(keys.REJECTED), "at": at, **_texts(*parted(rejected))}


def of_attempt(attempt: Attempt) -> Item:
    at = {"N": repr(attempt.began_at)}
    return {**key_of(keys.ATTEMPT), "at": at, **_texts(*parted(attempt))}
