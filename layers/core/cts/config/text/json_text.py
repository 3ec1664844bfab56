"""JSON text to plain values with positions."""

import re
from json import JSONDecodeError, JSONDecoder
from math import inf, isfinite

from cts.config.rules.problem import Place
from cts.config.text.tree import (
    BOM,
    MAX_DEPTH,
    Body,
    Entry,
    Lines,
    ParseError,
    Value,
    byte_order_mark,
    is_character,
    named,
    too_deep,
)

BLANKS = re.compile(r"[ \t\r\n]*")
COMMENT = re.compile(r"//|/\*|#")
LAST_COMMA = re.compile(r",[ \t\r\n]*(?=[}\]])")
MOST_DIGITS = 300


def read_json(text: str, file: str, *, keeps_all: bool = False) -> tuple[Body, list[ParseError]]:
    """The object's entries, and what is wrong with the text. Raises nothing for bad input.

    Of a repeated key the last value counts; `keeps_all`: all of them, as HCL 1 reads JSON.
    """
    reader = _Reader(text, file, keeps_all=keeps_all)
    try:
        reader.check()
        top, _ = reader.value(0, 0)
    except RecursionError:
        return Body(), [too_deep(Place(file))]
    except ParseError as error:
        return Body(), [error]
    match top.data:
        case Body() as body:
            return body, []
        case None:
            return Body(), []
    return Body(), [_no_object(top.place)]


def fault(text: str, file: str) -> ParseError | None:
    """Why a text is not JSON, or is neither an object nor a list; None if it is valid, even if
    this reader may reject it."""
    reader = _Reader(text, file, keeps_all=False)
    try:
        reader.check()
    except RecursionError:
        return None
    except ParseError as error:
        return error
    return None if text.strip()[0] in "{[" else _no_object(reader.lines.place(0))


def _no_object(place: Place) -> ParseError:
    return ParseError(place, "the file must contain one JSON object")


class _Reader:
    """Reads a text that is known to be valid JSON."""

    def __init__(self, text: str, file: str, *, keeps_all: bool) -> None:
        self.text, self.lines, self.keeps_all = text, Lines(text, file), keeps_all
        self.decoder = JSONDecoder(parse_int=_integer)

    def check(self) -> None:
        if not self.text.strip():
            raise ParseError(self.lines.place(0), "the file is empty", 'write at least "{}"')
        if self.text.startswith(BOM):
            raise byte_order_mark(self.lines.place(0))
        try:
            self.decoder.decode(self.text)
        except JSONDecodeError as error:
            raise self.not_json(error) from error

    def not_json(self, error: JSONDecodeError) -> ParseError:
        at = error.pos
        comma = self.text.rfind(",", 0, at + 1)
        if comma >= 0 and (found := LAST_COMMA.match(self.text, comma)) and found.end() >= at:
            what, fix = "JSON has no comma before the end of a list or an object", "remove it"
            return ParseError(self.lines.place(comma), what, fix)
        if COMMENT.match(self.text, at):
            fix = "remove it, or write the file in HCL"
            return ParseError(self.lines.place(at), "JSON has no comments", fix)
        if self.text.startswith("'", at):
            what = "JSON has double quotes only"
            return ParseError(self.lines.place(at), what, "write \" instead of '")
        what = f"this is not JSON: {error.msg.lower().removesuffix(' at')}"
        return ParseError(self.lines.place(at), what)

    def value(self, at: int, depth: int) -> tuple[Value, int]:
        at = self.skip(at)
        if depth > MAX_DEPTH:
            raise too_deep(self.lines.place(at))
        match self.text[at]:
            case "{":
                return self.object(at, depth)
            case "[":
                return self.array(at, depth)
        return self.scalar(at)

    def scalar(self, at: int) -> tuple[Value, int]:
        place = self.lines.place(at)
        data, end = self.decoder.raw_decode(self.text, at)
        if isinstance(data, str) and not all(is_character(ord(char)) for char in data):
            raise ParseError(place, "half of a surrogate pair is not a character")
        if isinstance(data, float):
            if not isfinite(data):
                word = self.text[at:end]
                what = (
                    "this number is too large" if word[-1].isdigit() else f"{word} is not a number"
                )
                raise ParseError(place, what)
            data = int(data) if data.is_integer() else data
        return Value(place, data, at, end), end

    def array(self, start: int, depth: int) -> tuple[Value, int]:
        items: list[Value] = []
        at = self.skip(start + 1)
        while self.text[at] != "]":
            item, at = self.value(at, depth + 1)
            items.append(item)
            at = self.skip(at, ",")
        return Value(self.lines.place(start), tuple(items), start, at + 1), at + 1

    def object(self, start: int, depth: int) -> tuple[Value, int]:
        entries: list[Entry] = []
        at = self.skip(start + 1)
        while self.text[at] != "}":
            key, colon = self.scalar(at)
            value, end = self.value(self.skip(colon, ":"), depth + 1)
            entries.append(Entry(named(str(key.data), key.place), key.place, value))
            at = self.skip(end, ",")
        body = Body(tuple(entries)) if self.keeps_all else _lasts(entries)
        return Value(self.lines.place(start), body, start, at + 1), at + 1

    def skip(self, at: int, mark: str = "") -> int:
        """Behind the blanks, and the mark among them if there is one."""
        at = self.blanks(at)
        return self.blanks(at + 1) if mark and self.text.startswith(mark, at) else at

    def blanks(self, at: int) -> int:
        found = BLANKS.match(self.text, at)
        return found.end() if found else at


def _lasts(entries: list[Entry]) -> Body:
    """The last entry of each key."""
    last = {entry.key: entry for entry in entries}
    dropped = (entry for entry in entries if entry is not last[entry.key])
    return Body(tuple(last.values()), tuple(dropped))


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= MOST_DIGITS else inf
