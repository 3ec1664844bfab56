"""Text as Go reads it: durations, whole numbers, true and false. And as it writes durations."""

import re
from decimal import Decimal

NANOSECONDS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
    "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
DURATION = re.compile(r"([-+]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
TERM = re.compile(r"([\d.]+)([a-zµμ]+)")
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
