"""Combines the parts of an HCL 2 string or heredoc into one expression."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cts.config.hcl2.nodes import Conditional, Literal, Loop, Node, Scope, too_nested
from cts.config.hcl2.tokens import Token
from cts.config.hcl2.values import Constant
from cts.config.rules.problem import Place
from cts.config.text.tree import (
    MAX_DEPTH,
    Lines,
    ParseError,
    is_character,
    unknown_escape,
)

ESCAPE = re.compile(
    r"\\(?:u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<letter>.))"
    r"|(?P<marks>\$\$++|%%++)(?P<brace>\{?)"
)
LETTERS = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Interpolation:
    """`${value}`"""

    value: Node


@dataclass(frozen=True, slots=True)
class If:
    """`%{ if condition }`"""

    place: Place
    condition: Node


@dataclass(frozen=True, slots=True)
class For:
    """`%{ for x in list }`"""

    place: Place
    loop: Loop


@dataclass(frozen=True, slots=True)
class TemplateEnd:
    """`%{ else }`, `%{ endif }` or `%{ endfor }`"""

    place: Place
    word: str


Part: TypeAlias = str | Interpolation | If | For | TemplateEnd


@dataclass(frozen=True, slots=True)
class Template:
    """A string with expressions in it."""

    place: Place
    parts: tuple[Node, ...]

    def evaluate(self, scope: Scope) -> Constant:
        return "".join([scope.text(part) for part in self.parts])


@dataclass(frozen=True, slots=True)
class ForText:
    """`%{ for x in list }text%{ endfor }`"""

    place: Place
    loop: Loop
    text: Node

    def evaluate(self, scope: Scope) -> Constant:
        return "".join([inside.text(self.text) for inside in self.loop.rounds(scope)])


def decoded(token: Token, lines: Lines, *, is_heredoc: bool) -> str:
    """A piece of text with its escapes decoded. Heredocs have no backslash escapes.
    Raises ParseError."""

    def character(found: re.Match[str]) -> str:
        if marks := found["marks"]:
            return marks[1:] + "{" if found["brace"] else marks
        if is_heredoc:
            return found.group()
        if found["letter"] in LETTERS:
            return LETTERS[found["letter"]]
        if (digits := found["u"] or found["U"]) and is_character(code := int(digits, 16)):
            return chr(code)
        raise unknown_escape(lines.place(token.at + found.start()), found.group())

    return ESCAPE.sub(character, token.text)


def unindented(parts: list[Part]) -> list[Part]:
    """The parts of a `<<-` heredoc without the indentation that all its lines share. Empty lines
    are ignored; a line that begins with a template is not indented."""
    starts = [n for n, part in enumerate(parts) if _starts_line(parts, n) and not _is_blank(part)]
    shared = min((_indentation(parts[n]) for n in starts), default=0)
    made = [*parts]
    for n in starts:
        part = parts[n]
        made[n] = part[shared:] if isinstance(part, str) else part
    return made


def _starts_line(parts: list[Part], n: int) -> bool:
    before = parts[n - 1] if n else "\n"
    return isinstance(before, str) and before.endswith("\n")


def _is_blank(part: Part) -> bool:
    return isinstance(part, str) and part.isspace() and part.endswith("\n")


def _indentation(part: Part) -> int:
    return len(part) - len(part.lstrip()) if isinstance(part, str) else 0


def template(place: Place, parts: list[Part]) -> Node:
    """The expression that the parts form. Raises ParseError if directives don't match."""
    match parts:
        case []:
            return Literal(place, "")
        case [str(text)]:
            return Literal(place, text)
        case [Interpolation(value)]:
            return value  # a single interpolation keeps its type
    return _nested(place, iter(parts), (), 0)[0]


def _nested(
    place: Place, parts: Iterator[Part], ends: tuple[str, ...], depth: int
) -> tuple[Template, str]:
    """The parts up to one of the words that end the directive at the place, and that word."""
    if depth > MAX_DEPTH:
        raise too_nested(place)
    nodes: list[Node] = []
    for part in parts:
        match part:
            case str():
                nodes.append(Literal(place, part))
            case Interpolation(value):
                nodes.append(value)
            case If() | For():
                nodes.append(_directive(part, parts, depth + 1))
            case TemplateEnd(_, word) if word in ends:
                return Template(place, tuple(nodes)), word
            case TemplateEnd(at, word):
                raise ParseError(at, f"`%{{ {word} }}` does not match an open directive")
    if ends:
        fix = f'close it with "%{{ {ends[-1]} }}"'
        raise ParseError(place, "this directive is never closed", fix)
    return Template(place, tuple(nodes)), ""


def _directive(opening: If | For, parts: Iterator[Part], depth: int) -> Node:
    at = opening.place
    if isinstance(opening, For):
        return ForText(at, opening.loop, _nested(at, parts, ("endfor",), depth)[0])
    then, end = _nested(at, parts, ("else", "endif"), depth)
    otherwise = Template(at, ())
    if end == "else":
        otherwise, _ = _nested(at, parts, ("endif",), depth)
    return Conditional(at, opening.condition, then, otherwise)
