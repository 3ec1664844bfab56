"""A configuration file as plain values with positions, whether it was HCL or JSON.

A label is one more level: `condition "services" {}` is `condition = { services = {} }`.
Repeated keys are all kept.
"""

from dataclasses import dataclass
from typing import TypeAlias

from cts.config.problem import Place


@dataclass(frozen=True, slots=True)
class Value:
    place: Place
    data: "Data"


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


MAX_DEPTH = 50
"""Levels of nesting that are read; configurations have five or six."""

SURROGATES = range(0xD800, 0xE000)
"""Halves of characters: text that holds one can't be stored."""
