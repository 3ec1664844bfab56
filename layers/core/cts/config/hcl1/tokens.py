"""Splits HCL 1 text into tokens, and decodes literals.

A mistake inside a literal is kept in its token, and reported only if the token is read.
The tokens end where the rest of the text can't be split.
"""

import re
from collections.abc import Iterator
from math import inf, isfinite
from typing import NamedTuple

from cts.config.text.tree import Lines, ParseError, is_character, unknown_escape

SKIPPED = re.compile(r"(?:[ \t\r\n]+|#[^\n]*|//[^\n]*|/\*.*?\*/)*+", re.DOTALL)
TOKEN = re.compile(
    r"""(?P<name>[^\W\d][\w.-]*)
      | "(?P<string>[^"\\\n$]*(?:\$(?!\{)[^"\\\n$]*)*)"
      | (?P<mark>[][{}()=,])
      | (?P<number>-?\.?[0-9](?:(?<=[eE])[+-]|[\w.])*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
PIECE = re.compile(r'[^"\\\n${}]+|\$\{|.', re.DOTALL)
"""A part of a string that has escapes or braces."""
OVER_LINES = re.compile(
    r"""(?: \r?\n (?! [ \t]* (?: [\w.-]+ [ \t]* [={] | []}[{#] | // ) )
            (?: [^"\\\r\n] | \r(?!\n) | \\. )* )+
        " (?= [^"\n]* (?: "[^"\n]*" [^"\n]* )* (?: \n | \Z ) )""",
    re.VERBOSE,
)
"""The rest of a string that goes on in the next lines: none of them is an entry, and the quote that
ends it is the last one there."""
ESCAPE = re.compile(
    r'\\(?:([abfnrtv"\\])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))'
)
LETTERS = dict(zip('abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))
INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
DECIMAL = re.compile(r"-?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?")
SMALLEST, LARGEST = -(2**63), 2**63 - 1
MOST_DIGITS = 64
HEREDOC = re.compile(r"<<(-?)(\w+)[ \t]*\r?\n")

Literal = str | int | float | bool


class Hcl1Token(NamedTuple):
    kind: str
    """`name`, `string`, `number`, `bool`; `bad` is a literal with a mistake, `unclosed` a string
    that never ends; `end`, a mark, or `other`."""
    start: int
    end: int
    is_first: bool
    """Whether it is the first one on the line."""
    data: Literal = ""
    error: ParseError | None = None


def tokens(text: str, lines: Lines, at: int = 0) -> Iterator[Hcl1Token]:
    """The tokens from a position on. The last one is an `end`, with an error if it is early."""
    scanner = _Hcl1Scanner(text, lines)
    kind = ""
    while kind != "end":
        skipped = SKIPPED.match(text, at)
        start = skipped.end() if skipped else at
        is_first = not kind or text.find("\n", at, start) >= 0
        try:
            token = scanner.token(start, is_first, after=kind)
        except ParseError as error:
            token = Hcl1Token("end", start, start, is_first, error=error)
        yield token
        at, kind = token.end, token.kind


class _Hcl1Scanner:
    def __init__(self, text: str, lines: Lines) -> None:
        self.text, self.lines = text, lines

    def token(self, start: int, is_first: bool, after: str) -> Hcl1Token:
        """The token that starts here. Raises ParseError if the rest can't be followed."""
        if not (found := TOKEN.match(self.text, start)):
            return Hcl1Token("end", start, start, is_first)
        kind, whole = found.lastgroup or "", found.group()
        data: Literal = whole
        match kind, whole:
            case "name", "true" | "false":
                kind, data = "bool", whole == "true"
            case "string", _:
                data = whole[1:-1]
            case "mark", _:
                kind = whole
            case "number", _:
                return self.number(whole, start, is_first)
            case "other", '"':
                return self.string(start, is_first, is_label=after in ("name", "string"))
            case "other", "<" if self.text.startswith("<<", start):
                return self.heredoc(start, is_first)
            case "other", "/" if self.text.startswith("/*", start):
                raise self.error(start, "this comment is never closed", 'end it with "*/"')
        return Hcl1Token(kind, start, found.end(), is_first, data)

    def number(self, whole: str, start: int, is_first: bool) -> Hcl1Token:
        end, number = start + len(whole), _number(whole)
        if number is not None and isfinite(number):
            return Hcl1Token("number", start, end, is_first, number)
        what = "this is not a number" if number is None else "this number is too large"
        fix = "write numbers as 15, 0x1f, 017, 1.5 or 1e3, and strings in double quotes"
        error = self.error(start, what, "" if number else fix)
        return Hcl1Token("bad", start, end, is_first, error=error)

    def string(self, start: int, is_first: bool, *, is_label: bool) -> Hcl1Token:
        """A string that the short way does not fit: it has escapes, `${`, or no end.

        Between `${` and its `}` everything is kept as it is, quotes and line ends too.
        """
        parts: list[bytes] = []
        error: ParseError | None = None
        opened = braces = 0
        is_long = False
        at = start + 1
        while found := PIECE.match(self.text, at):
            piece, end = found.group(), found.end()
            if piece in ('"', "\n") and not braces:
                break
            if piece == "\\":
                value, end = self.escape(at)
                if value is None:
                    error = error or unknown_escape(self.lines.place(at), self.text[at:end])
                parts.append(_bytes(self.text[at:end]) if braces else value or b"")
            else:
                if piece == "${" and not braces and not is_long:
                    opened = at
                is_long = is_long or piece == "\n"
                braces += _step(piece, braces)
                parts.append(_bytes(piece))
            at = end
        if found and found.group() == '"':
            decoded = b"".join(parts).decode(errors="replace").replace("\r\n", "\n")
            kind = "bad" if error else "string"
            return Hcl1Token(kind, start, at + 1, is_first, decoded, error)
        if is_long:
            raise self.error(opened, 'this "${" is never closed', 'close it with "}"')
        if over := OVER_LINES.match(self.text, at):
            what = "this string has a line end in it"
            error = self.error(start, what, 'write "\\n" instead, or use a heredoc')
            return Hcl1Token("bad", start, over.end(), is_first, error=error)
        return self.unclosed(start, at, is_first, is_label=is_label)

    def unclosed(self, start: int, end: int, is_first: bool, *, is_label: bool) -> Hcl1Token:
        """A string up to the end of its line, except brackets there that close what the line
        opened, and the brace of a block whose label it is."""
        fix = "close it with a quote on the same line"
        error = self.error(start, "this string is never closed", fix)
        before = self.text[start - error.place.column + 1 : start]
        opened = {"}": before.count("{") - before.count("}")}
        opened["]"] = before.count("[") - before.count("]")
        at = end
        while (last := self.text[at - 1]) in " \t\r" or opened.get(last, 0) > 0:
            at -= 1
            if last in opened:
                opened[last] -= 1
                end = at
        if is_label and last == "{":
            end = at - 1
        return Hcl1Token("unclosed", start, end, is_first, error=error)

    def escape(self, at: int) -> tuple[bytes | None, int]:
        """The bytes that an escape means, None if it is not valid; and where it ends."""
        if not (found := ESCAPE.match(self.text, at)):
            return None, at + 1 if self.text[at + 1 : at + 2] in ("", "\n") else at + 2
        letter, octal, byte, *points = found.groups()
        if letter:
            return bytes([LETTERS[letter]]), found.end()
        if octal or byte:
            code = int(octal, 8) if octal else int(byte, 16)
            return bytes([code]) if code < 256 else None, found.end()
        code = int(points[0] or points[1], 16)
        return chr(code).encode() if is_character(code) else None, found.end()

    def heredoc(self, start: int, is_first: bool) -> Hcl1Token:
        if not (opening := HEREDOC.match(self.text, start)):
            what, fix = "this heredoc has no marker", 'write "<<" and a word at the end of the line'
            raise self.error(start, what, fix)
        is_indented, marker = opening.groups()
        line = opening.end()
        while line < len(self.text):
            end = self.text.find("\n", line)
            end = len(self.text) if end < 0 else end
            bare = self.text[line:end].rstrip("\r")
            if bare.lstrip(" \t\v\f\r") == marker:
                closing = line + len(bare)
                content = self.text[opening.end() : closing - len(marker)].replace("\r\n", "\n")
                content = _unindented(content) if is_indented else content
                return Hcl1Token("string", start, closing, is_first, content)
            line = end + 1
        fix = f'end it with a line that contains only "{marker}"'
        raise self.error(start, "this heredoc is never closed", fix)

    def error(self, at: int, what: str, fix: str = "") -> ParseError:
        return ParseError(self.lines.place(at), what, fix)


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")


def _step(piece: str, braces: int) -> int:
    if piece == "${" or (braces and piece == "{"):
        return 1
    return -1 if braces and piece == "}" else 0


def _number(text: str) -> int | float | None:
    """None if it is not a number, infinity if it is too large. A whole float becomes an integer."""
    if INTEGER.fullmatch(text):
        digits = text.removeprefix("-").lower()
        base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
        number = int(text, base) if len(digits) <= MOST_DIGITS else inf
        return number if SMALLEST <= number <= LARGEST else inf
    if not DECIMAL.fullmatch(text):
        return None
    decimal = float(text)
    return int(decimal) if decimal.is_integer() else decimal


def _unindented(content: str) -> str:
    """The text without the indentation of its closing marker, which is at its end.

    As in CTS, nothing is removed if any line, even an empty one, has less.
    """
    *lines, indentation = content.split("\n")
    if all(line.startswith(indentation) for line in lines):
        lines = [line.removeprefix(indentation) for line in lines]
    return "".join(f"{line}\n" for line in lines)
