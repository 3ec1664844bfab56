"""The waits: before a push, for the answer to it, and along a run."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from cts_cli.aws import Newest
from cts_cli.errors import CommandError

LONGEST_ANSWER = 6 * 60.0
"""Seconds. The publisher looks by itself every five minutes, should its event be lost."""
LONG = 20.0


class Reader(Protocol):
    def get(self, *path: str, **query: str | int) -> Any: ...
    def text(self, *path: str) -> str | None: ...


class Outcome(StrEnum):
    PUBLISHED = "published"
    REJECTED = "rejected"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    configuration: dict[str, Any]
    """What the reader says of the live generation and of the last rejected push."""

    @property
    def facts(self) -> dict[str, Any]:
        match self.outcome:
            case Outcome.PUBLISHED:
                return dict(self.configuration["live"])
            case Outcome.REJECTED:
                return dict(self.configuration["rejected"])
            case Outcome.REPLACED:
                return {}


def every(seconds: float, at_most: float = float("inf")) -> Iterator[float]:
    """How much time has passed, at once and then every so many seconds."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < at_most:
        yield passed
        time.sleep(seconds)


def until_answered(
    reader: Reader,
    newest: Callable[[], Newest | None],
    ticks: Iterable[float],
    tell: Callable[[str], None],
) -> Newest | None:
    """Wait until the last push was answered: so long what is live doesn't show what it changes.

    Returns that push. One that is never answered hinders no other.
    """
    last, told = None, False
    for _ in ticks:
        last = newest()
        if last is None or not last.version or _answered(reader.get("configuration"), last.version):
            return last
        if not told:
            tell("another push is not answered yet, waiting for the publisher")
            told = True
    tell("it was not answered: what it changes is not in this comparison")
    return last


def _answered(configuration: Mapping[str, Any], version: str) -> Outcome | None:
    for outcome, key in ((Outcome.PUBLISHED, "live"), (Outcome.REJECTED, "rejected")):
        found = configuration[key]
        if found and found["source_version"] == version:
            return outcome
    return None


def for_answer(
    reader: Reader,
    newest: Callable[[], Newest | None],
    version: str,
    ticks: Iterable[float],
    tell: Callable[[str], None],
) -> Answer:
    """Wait until exactly this push was answered, or a newer one took its place."""
    for passed in ticks:
        last = newest()
        configuration = reader.get("configuration")
        if outcome := _answered(configuration, version):
            return Answer(outcome, configuration)
        if last is not None and last.version != version:
            return Answer(Outcome.REPLACED, configuration)
        if passed > LONG:
            tell("still waiting: the publisher looks by itself every 5 minutes")
    raise CommandError(
        "the push was not answered within 6 minutes: see the publisher's log, "
        "and `cts status` for what is live"
    )


def along(
    reader: Reader,
    run_id: str,
    ticks: Iterable[float],
    show: Callable[[str], None],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Show a run's log as it grows. Returns the run when it has ended."""
    so_far = ""
    for _ in ticks:
        run: dict[str, Any] = reader.get("runs", run_id)  # before the log, which then is whole
        text = reader.text("runs", run_id, "log") or ""
        if text != so_far:
            show(text.removeprefix(so_far))
            so_far = text
        if run["status"] != "pending":
            return run
        tell(f"{run_id} goes on" if so_far else f"waiting for the first lines of {run_id}")
    raise CommandError(f"run '{run_id}' has not ended")
