"""What one Consul answer means, given what was stored. The index rules are hcat's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from cts.watch.query import View
from cts.watch.snapshot import EMPTY, Snapshot, members


@dataclass(frozen=True, slots=True)
class Row:
    """A view's last stored answer: Consul's index and the snapshot's digest."""

    index: int
    digest: str
    filtered: bool = False
    """ACLs hid part of it. Normal for a listing, but not accepted after a complete one."""
    token: bool = False
    """It was asked for with a token."""
    looked_at: str = ""
    """The digest of the part whose change triggers tasks; empty: `digest` is."""

    @property
    def triggers(self) -> str:
        return self.looked_at or self.digest


@dataclass(frozen=True, slots=True)
class Answer:
    """What Consul answered to a view's query."""

    index: int
    snapshot: Snapshot
    filtered: bool = False
    token: bool = False
    """It was asked for with a token."""
    default_deny: bool = False
    """Consul says that its ACLs deny what no rule allows. Old servers don't tell."""

    @property
    def row(self) -> Row:
        snapshot = self.snapshot
        return Row(self.index, snapshot.digest, self.filtered, self.token, snapshot.looked_at)

    def row_after(self, stored: Row | None) -> Row:
        """The row that follows. While the digest stays, so does what triggers: rows of the first
        release have one digest only, and an upgrade of this project runs nothing."""
        if stored is None or stored.digest != self.snapshot.digest:
            return self.row
        return replace(self.row, looked_at=stored.looked_at)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some views' rows in one item of the table: one query reads all, one change writes little."""

    name: str
    version: int = 0
    rows: Mapping[str, Row] = field(default_factory=dict)


def rows_of(chunks: Mapping[str, Chunk]) -> dict[str, Row]:
    """All chunks' rows, by view id."""
    return {view: row for chunk in chunks.values() for view, row in chunk.rows.items()}


def chunk_of(view_id: str) -> str:
    """View ids are hashes, so their first two digits spread them over 256 chunks."""
    return view_id[:2]


class Verdict(Enum):
    SAME = "same"  # nothing to store
    MOVED = "moved"  # the index moved, the data did not
    FIRST = "first"  # no earlier answer to compare with
    CHANGED = "changed"  # the data differs: tasks on this view look again


def judge(stored: Row | None, answer: Row) -> Verdict:
    """Compare an answer with the stored one. Only digests decide whether data changed.

    Consul moves an index for writes that leave the passing instances as they were, and a
    restored server may start from a lower one, so a moved index alone never triggers a task.
    """
    if stored is None:
        return Verdict.FIRST
    if answer.digest != stored.digest:
        return Verdict.CHANGED
    return Verdict.SAME if answer == stored else Verdict.MOVED


def wait_index(asked: int, answered: int) -> int:
    """The index to send with the next query; 0 asks Consul to answer at once.

    If the index of a query is above Consul's, Consul waits for the full time, whatever changes.
    So after an index has gone back, the old one must not be used.
    """
    return 0 if answered < asked else max(answered, 1)


def loses(row: Row, known: frozenset[str] | None, view: View, answer: Answer) -> bool:
    """Whether an answer has less than the stored one: instances, names or keys. `known` are those
    of the stored one; None if they are not known, so any difference may be a loss."""
    if row.digest in (answer.snapshot.digest, EMPTY.digest):
        return False
    return known is None or not known <= members(view, answer.snapshot)


def is_behind(row: Row, answer: Answer) -> bool:
    """Whether an answer with other data is older than the last one: an agent may be behind."""
    return answer.index < row.index and answer.snapshot.digest != row.digest


def doubt(row: Row, known: frozenset[str] | None, view: View, answer: Answer) -> str | None:
    """Why an answer is not accepted, given what was stored: if a token loses permissions, it looks
    as if services had gone away."""
    if answer.filtered and not row.filtered:
        return "it was complete, and ACLs now hide part of it"
    if answer.token or not loses(row, known, view, answer):
        return None
    if row.token:
        return "it was read with a token before, and part of it is missing without one"
    if answer.default_deny and answer.snapshot.digest == EMPTY.digest:
        return "it is now empty, but there is no token and Consul denies by default"
    return None


def woken_by_restore(asked: int, answered: int, wait: float, seconds: float) -> bool:
    """Whether a held query came back before its wait was over although nothing moved. Consul
    answers so when it is restored, with the data and the index from before (seen with 1.8.7)."""
    return bool(asked) and answered == asked and seconds < wait - 1
