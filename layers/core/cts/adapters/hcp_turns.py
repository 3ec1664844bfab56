"""Whose turn it is to create a run in HCP Terraform: several functions may want to at once.

Whoever puts a run's record `started` creates it, once. The next one takes the next turn, with the
record `started-2` and so on, if no run is found after the time by which whoever had the last turn
is gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cts.adapters.build_records import STARTED, Started, started_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from cts.run.model import Run
    from cts.run.news import GivenUp

GONE_AFTER = 120.0
"""Seconds: functions live for 60 at most, and their clocks may differ."""


class TurnRecords(Protocol):
    def run_object(self, task: str, run: str, name: str) -> bytes | None: ...
    def put_run_object(self, task: str, run: str, name: str, body: bytes) -> None: ...
    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Turn:
    number: int
    """Of the next one, from 1."""
    last: Started | GivenUp | None
    """What the last one recorded."""
    is_taken: bool
    """Whether whoever had the last one may create the run this moment."""


class Turns:
    def __init__(self, records: TurnRecords, now: Callable[[], float]) -> None:
        self._records = records
        self._now = now

    def of(self, run: Run) -> Turn:
        number, last = 1, None
        while (body := self._records.run_object(run.task, run.id, _name(number))) is not None:
            number, last = number + 1, body
        began = _at(last) if last else 0.0
        return Turn(number, started_from(last), self._now() - began < GONE_AFTER)

    def take(self, run: Run, turn: Turn, record: bytes) -> bool:
        """False if someone else has it."""
        return self._records.put_if_absent(run.task, run.id, _name(turn.number), record)

    def begin(self, run: Run, turn: Turn, build: str) -> bool:
        """Take it in order to create the run. `build`: as of `Started`."""
        record = {"build": build, "at": self._now()}
        return self.take(run, turn, json.dumps(record).encode())

    def end(self, run: Run, turn: Turn, build: str) -> None:
        """The run was not created, and the next turn may begin."""
        record = json.dumps({"build": build}).encode()
        self._records.put_run_object(run.task, run.id, _name(turn.number), record)


def _name(number: int) -> str:
    return STARTED if number == 1 else f"{STARTED}-{number}"


def _at(record: bytes) -> float:
    """When a turn began; long ago if the record does not say so."""
    try:
        found = json.loads(record)
        return float(found.get("at", 0.0))
    except (AttributeError, TypeError, ValueError):
        return 0.0
