"""A configuration file as plain values with positions, whether it was HCL or JSON.

A label is one more level: `condition "services" {}` is `condition = { services = {} }`.
Repeated keys are all kept.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeAlias

from cts.config.problem import Place


@dataclass(frozen=True, slots=True)
class Value:
    place: Place
    data: "Data"
    start: int = 0
    """Where the value's own text starts and ends in the file, with its quotes or brackets."""
    end: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    place: Place
    value: Value
    is_label: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    entries: tuple[Entry, ...] = ()


Data: TypeAlias = str | int | float | bool | tuple[Value, ...] | Body | None


class ParseError(Exception):
    """The text is not in its language. Carries the position and what would be right."""

    def __init__(self, place: Place, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.place, self.what, self.fix = place, what, fix


class Lines:
    """The places of a text's characters."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)

    def place(self, at: int) -> Place:
        line = bisect_right(self.starts, at)
        return Place(self.file, line, at - self.starts[line - 1] + 1)


MAX_DEPTH = 50
"""Levels of nesting that are read; configurations have five or six."""

SURROGATES = range(0xD800, 0xE000)
"""Halves of characters: text that holds one can't be stored."""
