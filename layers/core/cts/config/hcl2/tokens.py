"""Splits HCL 2 text into tokens, as Terraform does.

Strings and heredocs contain templates, templates contain expressions, and expressions contain
strings. A stack of open tokens shows which of them continues after a closing mark.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from cts.config.text.tree import Lines, ParseError

KEYWORDS = ("true", "false", "null", "for", "in", "if", "else", "endif", "endfor")
MARKS = set("{}[]()=<>+-*/%!?:.,") | {
    "==", "!=", "<=", ">=", "=>", "&&", "||", "::", "...",
}  # fmt: skip
WORDS = {"name", "number", "line", "end", "quote", "text", "unquote", "template", "close"}
BEGINS = {"name", "number", "quote", "(", "[", "{", "-", "!"}
"""What can begin an operand."""
ENDS = {"name", "number", "unquote", ")", "]", "}"}
"""What can end an operand."""
KINDS = MARKS | WORDS
CODE = re.compile(
    r"""(?P<blank>[ \t\r]+|(?:\#|//)[^\n]*|/\*.*?\*/)
      | (?P<line>\n)
      | (?P<name>(?:[A-Za-z_]|[^\x00-\x7f])(?:[\w-]|[^\x00-\x7f])*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<quote>")
      | (?P<heredoc><<-?(?P<marker>(?:[A-Za-z_]|[^\x00-\x7f])(?:[\w-]|[^\x00-\x7f])*)\r?\n)
      | (?P<close>~?\})
      | (?P<mark>\.\.\.|[=!<>]=|=>|&&|\|\||::|.)""",
    re.VERBOSE | re.DOTALL,
)
# A `$` or `%` is text unless a brace follows; a doubled one is text even before a brace.
DOLLARS = r"\$\$+\{?|%%+\{?|\$(?!\{)|%(?!\{)"
QUOTED = re.compile(rf'(?:[^"\\$%\r\n]++|\\[^\r\n]|{DOLLARS})+')
LINE = re.compile(rf"(?:[^$%\n]++|{DOLLARS})+\n?|\n")
TEMPLATE = re.compile(r"[$%]\{~?")
DEPTH = {
    "{": 1, "[": 1, "(": 1, "template": 1, "quote": 1,
    "}": -1, "]": -1, ")": -1, "close": -1, "unquote": -1,
}  # fmt: skip


class Token(NamedTuple):
    kind: str
    """`name`, `number`, `line` (its end), `end` (of the text), or a mark as written.

    A string or heredoc is `quote`, then `text` and templates, then `unquote`; a template is
    `template`, then an expression, then `close`.
    """
    text: str
    at: int


class _Open(NamedTuple):
    """A string, heredoc, template or brace that has not been closed yet."""

    token: Token
    is_text: bool
    marker: str = ""
    """For a heredoc: the content of the line that ends it."""


def tokens(text: str, lines: Lines) -> list[Token]:
    """All tokens. Raises ParseError if a string, heredoc or comment is not valid."""
    return [*_Scanner(text, lines).tokens(), Token("end", "", len(text))]


class _Scanner:
    def __init__(self, text: str, lines: Lines) -> None:
        self.text, self.lines = text, lines
        self.open: list[_Open] = []

    def tokens(self) -> Iterator[Token]:
        at = 0
        while at < len(self.text):
            if self.open and self.open[-1].is_text:
                token = self.literal(at)
            else:
                found = CODE.match(self.text, at)
                assert found is not None  # its last alternative matches anything
                if found.lastgroup == "blank":
                    at = found.end()
                    continue
                token = self.code(found.lastgroup or "", found)
            yield token
            at = token.at + len(token.text)
        if self.open:
            raise self.unclosed(self.open[-1].token)

    def code(self, kind: str, found: re.Match[str]) -> Token:
        """A token outside strings and heredocs."""
        text, at = found.group(), found.start()
        match kind:
            case "name" if not text.isascii() and not text.replace("-", "_").isidentifier():
                raise self.error(at, "a name can only contain letters, digits, _ and -")
            case "quote" | "heredoc":
                token = Token("quote", text, at)
                self.open.append(_Open(token, is_text=True, marker=found["marker"] or ""))
            case "close":
                token = self.close(text, at)
            case "mark":
                if self.text.startswith("/*", at):
                    raise self.error(at, "this comment is never closed", 'end it with "*/"')
                token = Token(text, text, at)
                if text == "{":
                    self.open.append(_Open(token, is_text=False))
            case _:
                token = Token(kind, text, at)
        return token

    def close(self, text: str, at: int) -> Token:
        """A closing brace of a template, object or block."""
        if self.open and self.open[-1].token.kind == "template":
            self.open.pop()
            return Token("close", text, at)
        if text == "}" and self.open:
            self.open.pop()
        return Token(text[0], text[0], at)

    def literal(self, at: int) -> Token:
        """A token inside a string or heredoc."""
        opened, _, marker = self.open[-1]
        if marker and self.text[at - 1] == "\n" and (closing := self.closing(marker, at)):
            self.open.pop()
            return Token("unquote", closing, at)
        if not marker and self.text[at] == '"':
            self.open.pop()
            return Token("unquote", '"', at)
        if found := (LINE if marker else QUOTED).match(self.text, at):
            return Token("text", found.group(), at)
        if found := TEMPLATE.match(self.text, at):
            token = Token("template", found.group(), at)
            self.open.append(_Open(token, is_text=False))
            return token
        # The quote that ends a string around an unclosed template looks like the start of another.
        around = self.open[-2].token if len(self.open) > 1 else opened
        raise self.unclosed(around if around.kind == "template" else opened)

    def closing(self, marker: str, at: int) -> str:
        """The marker and the blanks around it, if the line that begins here holds nothing else."""
        end = self.text.find("\n", at)
        line = self.text[at : end if end >= 0 else len(self.text)].removesuffix("\r")
        return line if line.strip(" \t") == marker else ""

    def unclosed(self, token: Token) -> ParseError:
        if token.kind == "template":
            return self.error(token.at, f'this "{token.text}" is never closed', 'add "}"')
        if token.kind == "{":
            return self.error(token.at, 'this "{" is never closed', 'add "}"')
        if token.text == '"':
            what, fix = "this string is never closed", "close it with a quote on the same line"
            return self.error(token.at, what, fix)
        marker = token.text.strip("<-").strip()
        fix = f'end it with a line that contains only "{marker}"'
        return self.error(token.at, "this heredoc is never closed", fix)

    def error(self, at: int, what: str, fix: str = "") -> ParseError:
        return ParseError(self.lines.place(at), what, fix)


def statements(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each statement of a body. A statement ends with its line, or with the line on
    which its last open bracket is closed."""
    statement: list[Token] = []
    depth = 0
    for token in tokens:
        depth += DEPTH.get(token.kind, 0)
        if token.kind == "end" or (token.kind == "line" and depth <= 0):
            if statement:
                yield [*statement, Token("end", "", token.at)]
            statement, depth = [], 0
        else:
            statement.append(token)


def unexpected(token: Token, lines: Lines, expected: str) -> ParseError:
    what = f"{_shown(token)} is not expected here"
    return ParseError(lines.place(token.at), what, f"expected {expected}")


def _shown(token: Token) -> str:
    """A token, for a message. Never the content of a string or a name, which may be a secret."""
    match token.kind:
        case "line" | "end":
            return "the end of the line"
        case "quote" | "text" | "unquote":
            return "a string"
        case "number":
            return "a number"
        case "name" if token.text not in KEYWORDS:
            return "unquoted text"
    return f"`{token.text}`"
