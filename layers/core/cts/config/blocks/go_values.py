"""Text as Go reads it: durations, whole numbers, true and false. And as it writes durations."""

import re
from decimal import Decimal

NANOSECONDS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
DURATION = re.compile(r"([-+]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
TERM = re.compile(r"([\d.]+)([a-zµμ]+)")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?", re.ASCII)
LOOSE_TERM = re.compile(r"(\d{1,18}(?:\.\d{0,18})?|\.\d{1,18}) *([A-Za-zµμ]+)", re.ASCII)
UNITS = {
    "ms": ("msec", "msecs", "milli", "millis", "millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
}
"""What people write for Go's units."""
HOURS = {"d": 24, "day": 24, "days": 24, "w": 168, "week": 168, "weeks": 168}
"""Units that Go does not have."""
MOST_NANOSECONDS = 2**63
"""The limit of Go's durations."""
TRUE = {"1", "t", "T", "TRUE", "true", "True"}
FALSE = {"0", "f", "F", "FALSE", "false", "False", ""}
INTEGER = re.compile(r"[-+]?(0[xX]_?|0[bB]_?|0[oO]?_?|)([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)", re.ASCII)
BASES = {"": 10, "0x": 16, "0b": 2, "0o": 8, "0": 8}


def nanoseconds(text: str) -> Decimal | None:
    """A duration such as "1m30s"; None if the text is not one."""
    if text.lstrip("+-") == "0":
        return Decimal(0)
    if not (found := DURATION.fullmatch(text)):
        return None
    terms = TERM.findall(found[2])
    total = sum((Decimal(number) * NANOSECONDS[unit] for number, unit in terms), Decimal(0))
    return -total if found[1] == "-" else total


def duration_fault(data: object) -> tuple[str, str]:
    """What a value that is not a duration must be, and what to write."""
    text = data if isinstance(data, str) else ""
    usual = 'write it as "5s" or "1m30s"'
    if not isinstance(data, str) or nanoseconds(text) is not None:
        return "must be a duration below 292 years", usual
    if NUMBER.fullmatch(text.strip()):
        return "must be a duration with a unit", f'write "{text.strip()}s" for seconds'
    terms = LOOSE_TERM.findall(text) if not LOOSE_TERM.sub("", text).strip("+- ") else []
    meant = "".join(map(_meant, *zip(*terms, strict=True))) if terms else ""
    fix = f'write "{meant}"' if nanoseconds(meant) is not None else usual
    if " " in text and nanoseconds(text.replace(" ", "")) is not None:
        return "must be a duration without spaces", fix
    if terms:
        return "must be a duration in the units ns, us, ms, s, m and h", fix
    return "must be a duration", usual


def _meant(number: str, unit: str) -> str:
    """`90` and `sec` as Go writes it."""
    word = unit.lower()
    if hours := HOURS.get(word):
        return f"{Decimal(number) * hours:f}h"
    known = (short for short, words in UNITS.items() if word in words)
    return number + next(known, word)


def duration(seconds: float) -> str:
    """`1m30s`, as Go writes it."""
    left = round(seconds * NANOSECONDS["s"])
    if 0 < left < NANOSECONDS["s"]:
        unit = next(unit for unit in ("ms", "µs", "ns") if left >= NANOSECONDS[unit])
        return f"{Decimal(left) / NANOSECONDS[unit]:f}{unit}"
    hours, left = divmod(left, NANOSECONDS["h"])
    minutes, left = divmod(left, NANOSECONDS["m"])
    text = f"{(Decimal(left) / NANOSECONDS['s']):f}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def integer(text: str) -> int | None:
    """A whole number in any base; None if the text is not one."""
    if not (found := INTEGER.fullmatch(text)):
        return None
    base = BASES[found[1].lower().removesuffix("_")]
    try:
        number = int(found[2], base)
    except ValueError:
        return None
    return -number if text.startswith("-") else number
