"""A Consul answer as a sorted value, its canonical bytes, and a digest."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from cts.watch.query import View


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A view's value. Equal values have equal bytes, so the digest says whether data changed."""

    body: bytes
    digest: str
    looked_at: str = field(default="", compare=False)
    """The digest of the part whose change triggers tasks; empty: `digest` is."""

    @property
    def value(self) -> list[Any]:
        """As the view's kind has decoded it. Decoded again at each call."""
        value: list[Any] = json.loads(self.body)
        return value


def snapshot(view: View, answer: Any) -> Snapshot:
    """Decode what Consul answered to the view's request (its JSON). Raises ValueError for what no
    Consul answers."""
    return decoded(view, view.kind.decode(answer))


def decoded(view: View, value: list[Any]) -> Snapshot:
    made = of(value)
    if view.kind.looked_at is None:
        return made
    part = view.kind.looked_at(value)
    return made if part == value else replace(made, looked_at=of(part).digest)


def members(view: View, snapshot: Snapshot) -> frozenset[str]:
    """What an answer may lose: the names of a listing, the instances of a service."""
    return view.kind.members(snapshot.value)


def of(value: list[Any]) -> Snapshot:
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return Snapshot(body, digest_of(body))


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


EMPTY = of([])
