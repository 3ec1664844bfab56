"""JSON text to plain values with positions."""

import json
from json import JSONDecodeError, JSONDecoder
from math import isfinite
from typing import NoReturn

from cts.config.problem import Place
from cts.config.tree import MAX_DEPTH, SURROGATES, Body, Entry, ParseError, Value

BLANKS = " \t\r\n"


def read_json(text: str, file: str) -> tuple[Body, list[ParseError]]:
    """The object's entries, and what is wrong with the text. Raises nothing for bad input."""
    try:
        json.loads(text, parse_constant=_no_constant)
        top, _ = _Reader(text, file).value(0, 0)
    except JSONDecodeError as error:
        place = Place(file, error.lineno, error.colno)
        return Body(), [ParseError(place, f"this is not JSON: {error.msg.lower()}")]
    except (ValueError, RecursionError) as error:
        return Body(), [ParseError(Place(file), f"this is not JSON: {error}")]
    except ParseError as error:
        return Body(), [error]
    match top.data:
        case Body() as body:
            return body, []
        case None:
            return Body(), []
    return Body(), [ParseError(top.place, "the file must hold one JSON object")]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


class _Reader:
    """Walks a text that is known to be JSON."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.decode = JSONDecoder().raw_decode

    def value(self, at: int, depth: int) -> tuple[Value, int]:
        at = self.skip(at)
        if depth > MAX_DEPTH:
            raise ParseError(self.place(at), f"more than {MAX_DEPTH} levels of nesting")
        match self.text[at]:
            case "{":
                return self.object(at, depth)
            case "[":
                return self.array(at, depth)
        return self.scalar(at)

    def scalar(self, at: int) -> tuple[Value, int]:
        data, end = self.decode(self.text, at)
        if isinstance(data, str) and any(ord(char) in SURROGATES for char in data):
            raise ParseError(self.place(at), "half of a surrogate pair is not a character")
        if isinstance(data, float):
            if not isfinite(data):
                raise ParseError(self.place(at), "this number is too large")
            data = int(data) if data.is_integer() else data
        return Value(self.place(at), data), end

    def array(self, start: int, depth: int) -> tuple[Value, int]:
        items: list[Value] = []
        at = self.skip(start + 1)
        while self.text[at] != "]":
            item, at = self.value(at, depth + 1)
            items.append(item)
            at = self.skip(at, ",")
        return Value(self.place(start), tuple(items)), at + 1

    def object(self, start: int, depth: int) -> tuple[Value, int]:
        """An object; of a repeated key the last value counts, as in CTS."""
        entries: dict[str, Entry] = {}
        at = self.skip(start + 1)
        while self.text[at] != "}":
            key, colon = self.scalar(at)
            value, end = self.value(self.skip(colon, ":"), depth + 1)
            entries[str(key.data)] = Entry(str(key.data), key.place, value)
            at = self.skip(end, ",")
        return Value(self.place(start), Body(tuple(entries.values()))), at + 1

    def skip(self, at: int, mark: str = "") -> int:
        while at < len(self.text) and self.text[at] in BLANKS + mark:
            at += 1
        return at

    def place(self, at: int) -> Place:
        line = self.text.count("\n", 0, at) + 1
        return Place(self.file, line, at - self.text.rfind("\n", 0, at))
