"""Waiting: before a push, for its result, and for a run to end."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from cts_cli.aws import Newest
from cts_cli.errors import CommandError

LONGEST_ANSWER = 6 * 60.0
"""Seconds. If its event is lost, the publisher still checks every five minutes."""
LONG = 20.0
MOST_LOOKED_AT = 20
"""Of a task's newest runs."""


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
    """The live generation and the last rejected push, as the reader returns them."""

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
    """Yield the time passed: at once, then every `seconds` until `at_most`."""
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
    """Wait for the result of the last push: until then, the live generation lacks its changes.

    Returns that push, also if it has no result in the end: it must not block others.
    """
    last, told = None, False
    for _ in ticks:
        last = newest()
        if last is None or not last.version or _answered(reader.get("configuration"), last.version):
            return last
        if not told:
            tell("waiting for the publisher to process an earlier push")
            told = True
    tell("the earlier push was not processed: this comparison does not include its changes")
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
    """Wait until this push has a result, or a newer one has superseded it."""
    for passed in ticks:
        last = newest()
        configuration = reader.get("configuration")
        if outcome := _answered(configuration, version):
            return Answer(outcome, configuration)
        if last is not None and last.version != version:
            return Answer(Outcome.REPLACED, configuration)
        if passed > LONG:
            tell("still waiting: the publisher checks for new pushes at least every 5 minutes")
    raise CommandError(
        "the push was not processed within 6 minutes: check the publisher's log, "
        "and `cts status` for what is live"
    )


def along(
    reader: Reader,
    run_id: str,
    ticks: Iterable[float],
    show: Callable[[str], None],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Show a run's log as it grows. Returns the run once it has ended."""
    so_far = ""
    for _ in ticks:
        run: dict[str, Any] = reader.get("runs", run_id)  # first, so that its log is complete
        text = reader.text("runs", run_id, "log") or ""
        if text != so_far:
            show(text.removeprefix(so_far))
            so_far = text
        if run["status"] != "pending":
            return run
        if waits := run.get("waits"):
            tell(f"{run_id} {waits}")
        else:
            tell(f"{run_id} is still running" if so_far else f"waiting for output from {run_id}")
    raise CommandError(f"run '{run_id}' has not ended")


def for_run(
    reader: Reader,
    task: str,
    request: str,
    ticks: Iterable[float],
    tell: Callable[[str], None],
) -> str:
    """The ID of the run that a request asked for, once it has begun."""
    for _ in ticks:
        runs = reader.get("runs", task=task, limit=MOST_LOOKED_AT)["runs"]
        if found := [run["id"] for run in runs if run.get("request") == request]:
            return str(found[0])
        tell(f"waiting for the run of {task} to begin")
    raise CommandError(
        f"the run of task '{task}' has not begun: `cts status` shows what it waits for"
    )
