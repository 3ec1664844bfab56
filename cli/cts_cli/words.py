"""Human-readable times, counts and changes, as plain text without colours."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

SET_SECRET = "cts secret set {name} --group {group}"
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def now() -> datetime:
    return datetime.now(UTC)


def count(number: int, thing: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def some(names: Sequence[str], most: int) -> str:
    """`a, b and 3 more`: at most that many names; the others are counted."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def retries(tasks: Iterable[str]) -> list[str]:
    """The command that tries each of these tasks again."""
    return [f"`cts retry {task}`" for task in tasks]


def set_secrets(names: Iterable[str], group: str) -> str:
    """The commands that store these secrets."""
    return ", ".join(f"`{SET_SECRET.format(name=name, group=group)}`" for name in names)


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h`."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    return " ".join(_units(round(seconds))[:2])


def _units(seconds: int) -> list[str]:
    """From the largest unit down, leaving out those that are zero."""
    parts = []
    for size, unit in UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number} {unit}")
    return parts


def between(began: str, ended: str | None, at: datetime) -> str:
    """The time between two ISO times, or until `at` if it has not ended."""
    end = datetime.fromisoformat(ended) if ended else at
    return span((end - datetime.fromisoformat(began)).total_seconds())


def ago(when: str, at: datetime) -> str:
    return past(_passed(when, at))


def past(seconds: float) -> str:
    """`just now`, `8 s ago`, `3 min ago`."""
    units = _units(int(max(0.0, seconds)))
    return f"{units[0]} ago" if units else "just now"


def about(seconds: float) -> str:
    """`0 s`, `8 s`, `3 min`."""
    return (_units(int(max(0.0, seconds))) or ["0 s"])[0]


def since(when: str, at: datetime) -> str:
    """The time since then, in one unit."""
    return about(_passed(when, at))


def _passed(when: str, at: datetime) -> float:
    return (at - datetime.fromisoformat(when)).total_seconds()


def until(when: str, at: datetime) -> str:
    return span((datetime.fromisoformat(when) - at).total_seconds())


def changes(counts: Mapping[str, int] | None) -> str:
    """How many resources were added, changed and so on; empty if unknown."""
    if counts is None:
        return ""
    if not any(counts.values()):
        return "no changes"
    signs = (("add", "+"), ("change", "~"), ("destroy", "-"))
    said = [f"{sign}{counts[key]}" for key, sign in signs if counts.get(key)]
    others = (("import", "imported"), ("move", "moved"), ("forget", "forgotten"))
    said += [f"{counts[key]} {word}" for key, word in others if counts.get(key)]
    return " ".join(said)
