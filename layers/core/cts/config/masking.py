"""HCL text made fit for the HCL 2 parser, without moving a character.

Literals are read here, as their language defines them, and replaced by filler of the same length,
so that the parser only sees structure. `CONFIG` is HCL 1, as CTS reads it: keys may be quoted,
items separated by commas or blanks, blocks written with `=`, and `${...}` means nothing.
`VARIABLES` is HCL 2, as Terraform reads a variable file.
"""

import re
import sys
from dataclasses import dataclass, field
from enum import Enum, auto

from cts.config.problem import Place
from cts.config.tree import MAX_DEPTH, SURROGATES, ParseError

TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      | (?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
      | (?P<heredoc><<-?[^\W\d][\w.-]*[ \t]*\r?\n)
      | (?P<string>")
      | (?P<word>[^\W\d][\w.-]*)
      | (?P<hex>0[xX][0-9a-fA-F]+)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
CLOSES = {"{": "}", "[": "]", "(": ")"}


class Dialect(Enum):
    CONFIG = auto()
    VARIABLES = auto()

    @property
    def escapes(self) -> dict[str, str]:
        both = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
        more = {"a": "\a", "b": "\b", "f": "\f", "v": "\v"}
        return both | more if self is Dialect.CONFIG else both


class Expects(Enum):
    """What comes next in a body."""

    KEY = auto()
    LABEL = auto()
    VALUE = auto()


@dataclass(slots=True)
class Masked:
    """Text of the same length as the original; what it hides, by position; what is wrong."""

    text: str = ""
    literals: dict[int, str] = field(default_factory=dict)
    errors: list[ParseError] = field(default_factory=list)


def mask(text: str, file: str, dialect: Dialect) -> Masked:
    """Hide the literals of a text. Raises ParseError where its structure can't be followed."""
    masker = _Masker(text, file, dialect)
    masker.run()
    masker.masked.text = "".join(masker.out)
    return masker.masked


class _Masker:
    def __init__(self, text: str, file: str, dialect: Dialect) -> None:
        self.text, self.file, self.dialect = text, file, dialect
        self.masked = Masked()
        self.out: list[str] = []
        self.open: list[tuple[str, int]] = []
        self.expects = Expects.KEY

    def run(self) -> None:
        at = 0
        while at < len(self.text):
            token = TOKEN.match(self.text, at)
            assert token is not None  # the last alternative matches anything
            at = self.take(token.lastgroup or "", token)
        if self.open:
            bracket, opened = self.open[-1]
            raise self.error(
                opened, f'this "{bracket}" is never closed', f'add "{CLOSES[bracket]}"'
            )

    def take(self, kind: str, token: re.Match[str]) -> int:
        """Emit one token, or the literal it begins. Returns where the next one starts."""
        found, at = token.group(), token.start()
        match kind:
            case "blank":
                self.out.append(found)
            case "comment":
                self.out.append(_blank(found))
            case "string":
                return self.string(at)
            case "heredoc":
                return self.heredoc(token)
            case "word":
                self.word(found, at)
            case "hex":
                self.out.append("1" * len(found))
                self.after_value()
            case "number":
                self.out.append(found)
                self.after_value()
            case _ if self.text.startswith("/*", at):
                raise self.error(at, "this comment is never closed", 'end it with "*/"')
            case _:
                self.mark(found, at)
        return token.end()

    @property
    def in_body(self) -> bool:
        """Between the items of a block, not inside a list."""
        return self.dialect is Dialect.CONFIG and all(b == "{" for b, _ in self.open)

    def after_value(self) -> None:
        if self.in_body:
            self.expects = Expects.KEY

    def word(self, word: str, at: int) -> None:
        if self.in_body and self.expects is not Expects.VALUE:
            self.key(word, at, len(word))
        else:
            self.out.append(word)
            self.after_value()

    def key(self, key: str, at: int, length: int) -> None:
        self.masked.literals[at] = key
        self.out.append("x" * length)
        self.expects = Expects.LABEL

    def string(self, at: int) -> int:
        decoded, end = self.read_string(at + 1)
        if self.in_body and self.expects is not Expects.VALUE:
            self.key(decoded, at, end - at)
        else:
            self.literal(decoded, at, end)
        return end

    def literal(self, decoded: str, at: int, end: int) -> None:
        """Emit a string as plain filler between quotes, on as many lines as it had."""
        self.masked.literals[at] = decoded
        filler = re.sub(r"[^\n]", "x", self.text[at + 1 : end - 1])
        self.out.append(f'"{filler}"')
        self.after_value()

    def read_string(self, start: int) -> tuple[str, int]:
        """The decoded string that starts behind its quote, and where it ends."""
        parts: list[str] = []
        braces, at = 0, start
        while at < len(self.text):
            char = self.text[at]
            if char == '"' and not braces:
                return "".join(parts), at + 1
            if char == "\n" and not braces:
                break
            if char == "\\":
                piece, length = self.escape(at)
                piece = self.text[at : at + length] if braces else piece
            else:
                piece, length = self.plain(at)
                braces += self.steps_in(piece, braces)
            parts.append(piece)
            at += length
        raise self.error(
            start - 1, "this string is never closed", "close it with a quote on its line"
        )

    def plain(self, at: int) -> tuple[str, int]:
        """What stands at a position that is no escape: its value and its length in the text."""
        pair, triple = self.text[at : at + 2], self.text[at : at + 3]
        if self.dialect is Dialect.VARIABLES:
            if triple in ("$${", "%%{"):
                return triple[1:], 3
            if pair in ("${", "%{"):
                self.note(
                    at, "a template is not supported yet in a variable file", "write the value"
                )
        return (pair, 2) if pair == "${" else (pair[0], 1)

    def steps_in(self, piece: str, braces: int) -> int:
        if self.dialect is Dialect.VARIABLES:
            return 0  # a template was reported; an escaped one needs no closing
        if piece == "${" or (braces and piece == "{"):
            return 1
        return -1 if braces and piece == "}" else 0

    def escape(self, at: int) -> tuple[str, int]:
        """The character an escape stands for, and the length of the escape."""
        if not (found := ESCAPE.match(self.text, at)):
            return "", 1
        code = found[1] or found[2] or (found[3] if self.dialect is Dialect.CONFIG else None)
        if code and (char := _character(int(code, 16))):
            return char, len(found[0])
        letter = found[4] or ""
        if letter not in self.dialect.escapes:
            self.note(at, f"unknown escape {found[0]!r} in a string", 'write a backslash as "\\\\"')
        return self.dialect.escapes.get(letter, ""), len(found[0])

    def heredoc(self, token: re.Match[str]) -> int:
        marker = token.group()[2:].strip().removeprefix("-")
        closing = re.compile(rf"^[ \t]*{re.escape(marker)}(?=[ \t]*\r?$)", re.MULTILINE)
        if not (closed := closing.search(self.text, token.end())):
            raise self.error(
                token.start(), "this heredoc is never closed", f'end it with a line "{marker}"'
            )
        content = self.text[token.end() : closed.start()]
        if token.group().startswith("<<-"):
            content = _unindented(content)
        if self.dialect is Dialect.VARIABLES:
            if re.search(r"(?<!\$)\$\{|(?<!%)%\{", content):
                self.note(token.start(), "a template is not supported yet", "write the value")
            content = content.replace("$${", "${").replace("%%{", "%{")
        self.literal(content, token.start(), closed.end())
        return closed.end()

    def mark(self, mark: str, at: int) -> None:
        if mark in CLOSES:
            self.enter(mark, at)
        elif mark in CLOSES.values():
            self.leave(mark, at)
        elif self.in_body and mark in "=,":
            # `x = {` is the block `x {`, and a comma between items means nothing
            is_block = re.match(r"[ \t\r\n]*\{", self.text[at + 1 :]) if mark == "=" else None
            self.out.append(" " if mark == "," or is_block else mark)
            self.expects = Expects.KEY if mark == "," else Expects.VALUE
        else:
            self.out.append(mark)

    def enter(self, bracket: str, at: int) -> None:
        self.open.append((bracket, at))
        self.out.append(bracket)
        if len(self.open) > MAX_DEPTH:
            raise self.error(at, f"more than {MAX_DEPTH} levels of nesting")
        if self.in_body:
            self.expects = Expects.KEY

    def leave(self, bracket: str, at: int) -> None:
        if not self.open:
            raise self.error(at, f'this "{bracket}" closes nothing', "remove it")
        opening, opened = self.open.pop()
        if CLOSES[opening] != bracket:
            raise self.error(
                opened, f'this "{opening}" is never closed', f'add "{CLOSES[opening]}"'
            )
        self.out.append(bracket)
        self.after_value()

    def place(self, at: int) -> Place:
        line = self.text.count("\n", 0, at) + 1
        return Place(self.file, line, at - self.text.rfind("\n", 0, at))

    def note(self, at: int, what: str, fix: str = "") -> None:
        self.masked.errors.append(self.error(at, what, fix))

    def error(self, at: int, what: str, fix: str = "") -> ParseError:
        return ParseError(self.place(at), what, fix)


def _character(code: int) -> str:
    """The character of a code point; nothing if there is none, or only half of one."""
    return chr(code) if code <= sys.maxunicode and code not in SURROGATES else ""


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _unindented(text: str) -> str:
    """The text without the indentation all its lines share, as `<<-` asks."""
    lines = text.splitlines(keepends=True)
    shared = min((len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()), default=0)
    return "".join(line[shared:] if line.strip() else line.lstrip(" \t") for line in lines)
