"""The records of a build of `build/execute.py` in the work bucket, and what they mean. Pure.

RunRecords are read strictly, because a module may have written anything there. What cannot be
understood is ignored. Texts are cut to fit into a run's row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cts.run.model import Change, End, Orphan, Run, RunStatus, Used
from cts.run.news import GivenUp, GoesOn, HasEnded, NeverBegan, News, NotStarted

STARTED, APPLYING, RESULT = "started", "applying", "result.json"
LONGEST_TEXT = 4_200
"""Characters; a build cuts what Terraform said to a little less."""
MOST_ENTRIES = 20
MOST_ORPHANS, MOST_CHANGES, LONGEST_NAME = 50, 50, 500
LONGEST_ADDRESS = 200
STATUSES = {
    "applied": RunStatus.APPLIED,
    "unchanged": RunStatus.UNCHANGED,
    "errored": RunStatus.ERRORED,
    "busy": RunStatus.BUSY,
    "planned": RunStatus.PLANNED,
    "moved": RunStatus.MOVED,
}

ACTIONS = ("create", "update", "replace", "destroy", "import", "move", "forget")


@dataclass(frozen=True, slots=True)
class Started:
    """Whose run it is."""

    build: str | None
    """None if the record doesn't say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecords:
    """What a run's folder contains."""

    started: Started | GivenUp | None = None
    applying: bool = False
    result: End | None = None
    archive: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStatus:
    """What the service that executes a build reports: that it continues, how it ended, or neither.
    Neither means nothing, because a response may omit a running build."""

    build: str | None
    goes_on: bool = False
    ended_as: str | None = None
    """In the words of where it executes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds after a run's claim."""

    restart: float
    """Until which a second start of a run is the same build."""
    begins: float
    """By which a build that was started has begun, or never will."""
    longest: float
    """By which a run's build has ended, whatever happened."""


def build_of(run: Run, started: Started | GivenUp | None) -> str | None:
    """The build that executes the run: the one that began, else the one that was started."""
    if isinstance(started, GivenUp):
        return None
    return (started.build if started else None) or run.build


def news_of(run: Run, status: BuildStatus, records: RunRecords, age: float, limits: Limits) -> News:
    """News of a run, `age` seconds after its claim. The status must be older than the records:
    a build that has ended has written all of them."""
    started, build = records.started, status.build
    if status.goes_on:
        return GoesOn()
    if isinstance(started, GivenUp):
        return started
    if started is None:
        return _not_begun(run, status, records, age, limits)
    if build != build_of(run, started):
        return GoesOn()  # another build is this run's, and nothing is known of that one
    if status.ended_as is None:
        return _silent(run, records, overdue=age >= limits.longest)
    end = records.result or _cut_off(f"the build ended with status {status.ended_as}", records)
    return HasEnded(end=end, build=build)


def _silent(run: Run, records: RunRecords, *, overdue: bool) -> News:
    """Its own result counts, or that its time is long up."""
    end = records.result
    if end is None and overdue:
        end = replace(_cut_off("the build stopped responding", records), known=False)
    return HasEnded(end=end, build=run.build) if end else GoesOn()


def _not_begun(
    run: Run, status: BuildStatus, records: RunRecords, age: float, limits: Limits
) -> News:
    build = status.build
    if build is None:
        # Without a folder, an earlier version has claimed it: its build could get no credentials.
        if run.folder and age < limits.restart and records.archive is not None:
            return NotStarted(archive=records.archive)
        return NeverBegan()
    if status.ended_as is not None:
        error = f"build {build} ended with status {status.ended_as} before its first command"
    elif age >= limits.begins:
        error = f"build {build} was started, but never began"
    else:
        return GoesOn()
    end = End(RunStatus.ERRORED, apply_began=False, error=error)
    return NeverBegan(end=end, build=build)


def _cut_off(how: str, records: RunRecords) -> End:
    where = "during its apply" if records.applying else "before its apply began"
    error = f"{how} {where}, without a result"
    return End(RunStatus.ERRORED, apply_began=records.applying, error=error)


# ---- the records --------------------------------------------------------------------------


def given_up_record(end: End | None) -> bytes:
    """The record `started` of a run that builds must no longer begin."""
    error, retryable = (end.error, end.retryable) if end else (None, True)
    return json.dumps({"build": None, "error": error, "retryable": retryable}).encode()


def started_from(body: bytes | None) -> Started | GivenUp | None:
    """The record `started`; None if there is none."""
    if body is None:
        return None
    record = _object(body)
    if record is None or record.get("build", "") is not None:
        return Started(_text((record or {}).get("build")) or None)
    error = record.get("error")
    if error is None:
        return GivenUp()
    if not isinstance(error, str):
        error = "it was given up before its build began, and the record does not say why"
    retryable = record.get("retryable") is not False
    end = End(RunStatus.ERRORED, apply_began=False, error=_text(error), retryable=retryable)
    return GivenUp(end=end)


def end_from(body: bytes | None, *, apply_began: bool) -> End | None:
    """The record `result.json`; None if there is none that says how the build ended."""
    record = _result(body)
    word = _text(record.get("status"))
    if word not in STATUSES:
        return None
    status = STATUSES[word]
    return End(
        status=status,
        # Its last command may have been an apply, which did not get the lock.
        apply_began=apply_began and status is not RunStatus.BUSY,
        error=_text(record.get("error")),
        retryable=record.get("retryable") is not False,
        because=_text(record.get("because")) or "",
        changes=_changes(record.get("changes")),
        orphans=_orphans(record.get("orphans")),
        modules=_used(record.get("modules")),
        providers=_used(record.get("providers")),
        step=_text(record.get("step")),
        counts=_counts(record.get("counts")),
        terraform=_text(record.get("terraform")),
        times=_times(record.get("at")),
        disk=_bytes(record.get("disk")),
    )


def recorded_by(result: bytes | None) -> str | None:
    """The build that has put the record `result.json`; None if there is none, or it doesn't say."""
    return _text(_result(result).get("build"))


def says_applied(result: bytes | None) -> bool:
    return _result(result).get("status") == "applied"


def _result(body: bytes | None) -> Mapping[str, Any]:
    """Empty if there is none that can be read."""
    return _object(body or b"null") or {}


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, or a million brackets
        return None
    return record if isinstance(record, dict) else None


def _text(value: object) -> str | None:
    """The end of a text, in characters that can be stored: JSON may hold halves of some."""
    if not isinstance(value, str):
        return None
    return value[-LONGEST_TEXT:].encode("utf-8", "replace").decode()


def _counts(value: object) -> dict[str, int] | None:
    if not isinstance(value, dict):
        return None
    found = {name: each for name, each in value.items() if type(each) is int}
    return _few(found)


def _bytes(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _times(value: object) -> dict[str, str]:
    entries = value.items() if isinstance(value, dict) else ()
    return _few({step: str(at) for step, at in entries if _is_time(at)})


def _orphans(value: object) -> tuple[Orphan, ...]:
    entries = value[:MOST_ORPHANS] if isinstance(value, list) else []
    return tuple(
        Orphan(
            run=_name(each.get("run")),
            address=_name(each.get("address")),
            id=_name(each.get("id")),
            seen=_name(each.get("seen")),
        )
        for each in entries
        if isinstance(each, dict)
    )


def _changes(value: object) -> tuple[Change, ...]:
    entries = value[:MOST_CHANGES] if isinstance(value, list) else []
    return tuple(
        Change(_name(each.get("action")), _name(each.get("address"))[:LONGEST_ADDRESS])
        for each in entries
        if isinstance(each, dict) and each.get("action") in ACTIONS
    )


def _used(value: object) -> tuple[Used, ...]:
    entries = value[:MOST_ENTRIES] if isinstance(value, list) else []
    return tuple(
        Used(
            source=_name(each.get("source"))[:LONGEST_ADDRESS],
            version=_name(each.get("version"))[:LONGEST_ADDRESS],
            digest=_name(each.get("digest"))[:LONGEST_ADDRESS],
            name=_name(each.get("name"))[:LONGEST_ADDRESS],
        )
        for each in entries
        if isinstance(each, dict)
    )


def _name(value: object) -> str:
    return (_text(value) or "")[:LONGEST_NAME]


def _few(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name) or "": value for name, value in list(entries.items())[:MOST_ENTRIES]}


def _is_time(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
