"""What a build leaves in the work bucket, read strictly: a module may have written anything there.

What cannot be understood is no news. Texts are cut, so that a run's row holds them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cts.run.model import End, RunStatus

LONGEST_TEXT = 4_200
"""Characters; a build cuts what Terraform said to a little less."""
MOST_ENTRIES = 20
STATUSES = {
    "applied": RunStatus.APPLIED,
    "unchanged": RunStatus.UNCHANGED,
    "errored": RunStatus.ERRORED,
}


@dataclass(frozen=True, slots=True)
class Started:
    """Whose run it is."""

    build: str | None
    """None if the record doesn't say so."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The run was given up before its build began. Without an error that is no failure."""

    error: str | None = None
    retryable: bool = True

    def to_json(self) -> bytes:
        record = {"build": None, "error": self.error, "retryable": self.retryable}
        return json.dumps(record).encode()


def started_from(body: bytes | None) -> Started | GivenUp | None:
    """The record `started`; None if there is none."""
    if body is None:
        return None
    record = _object(body)
    if record is None or record.get("build", "") is not None:
        return Started(_text((record or {}).get("build")) or None)
    error = record.get("error")
    if error is not None and not isinstance(error, str):
        error = "it was given up before its build began, and the record does not say why"
    return GivenUp(_text(error), record.get("retryable") is not False)


def end_from(body: bytes | None, *, apply_began: bool) -> End | None:
    """The record `result.json`; None if there is none that says how the build ended."""
    record = _object(body or b"null") or {}
    word = _text(record.get("status"))
    if word not in STATUSES:
        return None
    return End(
        status=STATUSES[word],
        apply_began=apply_began,
        error=_text(record.get("error")),
        retryable=record.get("retryable") is not False,
        step=_text(record.get("step")),
        counts=_counts(record.get("counts")),
        terraform=_text(record.get("terraform")),
        times=_times(record.get("at")),
    )


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


def _times(value: object) -> dict[str, str]:
    entries = value.items() if isinstance(value, dict) else ()
    return _few({step: str(at) for step, at in entries if _is_time(at)})


def _few(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name) or "": value for name, value in list(entries.items())[:MOST_ENTRIES]}


def _is_time(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
