"""A configuration file as plain values with positions, whether it was HCL or JSON.

A label is one more level: `condition "services" {}` is `condition = { services = {} }`.
Repeated keys are all kept; in a JSON file the last one alone counts.
"""

import sys
from bisect import bisect_right
from dataclasses import dataclass, field

from cts.config.rules.problem import Place


@dataclass(frozen=True, slots=True)
class Value:
    place: Place
    data: "str | int | float | bool | tuple[Value, ...] | Body | None"
    start: int = 0
    """Where the value's own text starts and ends in the file, with its quotes or brackets."""
    end: int = 0

    @property
    def items(self) -> "tuple[Value, ...]":
        """The elements of a list; anything else is the only one."""
        return self.data if isinstance(self.data, tuple) else (self,)

    @property
    def entries(self) -> "tuple[Entry, ...]":
        return self.data.entries if isinstance(self.data, Body) else ()


@dataclass(frozen=True, slots=True)
class Entry:
    key: str
    place: Place
    value: Value
    is_label: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    entries: tuple[Entry, ...] = ()
    dropped: tuple[Entry, ...] = field(default=(), compare=False)
    """What has no effect but is still in the file."""


class ParseError(Exception):
    """The text is not in its language. Carries the position and what would be right."""

    def __init__(self, place: Place, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.place, self.what, self.fix = place, what, fix


BOM = "\ufeff"
MAX_DEPTH = 50
"""Levels of nesting that are read; configurations have five or six."""


LONGEST_NAME = 500
"""Characters of an option's name or label: the path of each value in it has them, too."""


def named(key: str, place: Place) -> str:
    """The key. Raises ParseError if it is too long."""
    if len(key) > LONGEST_NAME:
        raise ParseError(place, f"a name of more than {LONGEST_NAME} characters")
    return key


def too_deep(place: Place) -> ParseError:
    return ParseError(place, f"more than {MAX_DEPTH} levels of nesting")


def byte_order_mark(place: Place) -> ParseError:
    return ParseError(place, "the file begins with a byte order mark", "remove it")


def unknown_escape(place: Place, escape: str) -> ParseError:
    what = f"unknown escape `{escape[:2]}` in a string"
    return ParseError(place, what, 'write a backslash as "\\\\"')


def is_character(code: int) -> bool:
    """Surrogates are not characters: text that contains one can't be stored."""
    return code <= sys.maxunicode and not 0xD800 <= code < 0xE000


class Lines:
    """The places of a text's characters."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)

    def place(self, at: int) -> Place:
        line = bisect_right(self.starts, at)
        return Place(self.file, line, at - self.starts[line - 1] + 1)

    def place_of(self, part: str) -> Place | None:
        """Of the first such part."""
        at = self.text.find(part)
        return self.place(at) if at >= 0 else None
