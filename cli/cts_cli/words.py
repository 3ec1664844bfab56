"""Times, counts and changes as a person reads them. Plain text: no colours here."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def now() -> datetime:
    return datetime.now(UTC)


def count(number: int, thing: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2 h`: two digits are enough."""
    seconds = max(0.0, seconds)
    for size, unit in UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def between(began: str, ended: str | None, at: datetime) -> str:
    """From one ISO time to the next, or to now."""
    end = datetime.fromisoformat(ended) if ended else at
    return span((end - datetime.fromisoformat(began)).total_seconds())


def ago(when: str, at: datetime) -> str:
    passed = (at - datetime.fromisoformat(when)).total_seconds()
    return "just now" if passed < 1 else f"{span(int(passed)).replace('.0', '')} ago"


def until(when: str, at: datetime) -> str:
    return span((datetime.fromisoformat(when) - at).total_seconds())


def changes(counts: Mapping[str, int] | None) -> str:
    """Resources that were added, changed, destroyed; empty if that is not known."""
    if counts is None:
        return ""
    if not any(counts.values()):
        return "no changes"
    signs = (("add", "+"), ("change", "~"), ("destroy", "-"))
    return " ".join(f"{sign}{counts[key]}" for key, sign in signs if counts.get(key))


def first_line(text: str | None) -> str:
    """The first line that says something."""
    lines = (line.strip(" \t│╷╵") for line in (text or "").splitlines())
    return next((line for line in lines if line), "")


def listed(names: Collection[str], most: int = 10) -> str:
    shown = ", ".join(sorted(names)[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
