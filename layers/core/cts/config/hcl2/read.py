"""Reads HCL 2 with python-hcl2: expressions as nodes that can be evaluated, and a module's blocks.

This is the only module that imports python-hcl2, and only when there is something to read.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cts.config.hcl2.expressions import Expressions
from cts.config.hcl2.nodes import Node, Unread
from cts.config.hcl2.source import Source, trees
from cts.config.hcl2.tokens import BEGINS, ENDS, Token, unexpected
from cts.config.text.tree import Lines, ParseError

if TYPE_CHECKING:
    from lark import Lark

    from cts.config.hcl2.source import Branch

GRAMMAR = "grammar.bin"
"""python-hcl2's grammar, saved with `Lark.save`, because building it takes seconds."""
ATTRIBUTE = "a="
"""Added before an expression, because python-hcl2 only reads whole files."""
ONE_LINE = "the end of the line: strings need quotes, and each variable a separate line"


@dataclass(frozen=True, slots=True)
class Block:
    type: str
    labels: tuple[str, ...]
    attributes: dict[str, str]
    """Those directly in the block, with their values as written."""


def expression(text: str, found: list[Token], lines: Lines, *, skips_lines: bool = False) -> Node:
    """The expression that the tokens form; the last one is the `end`. Raises ParseError, or Unread
    if Terraform may be able to read it."""
    source = Source(text, found, lines, before=ATTRIBUTE, skips_lines=skips_lines)
    attribute, *others = trees(_body(source))
    for other in others:
        raise source.unexpected(source.start_of(other), ONE_LINE)
    return Expressions(source).expression(trees(attribute)[-1], 1)


def block(text: str, found: list[Token], lines: Lines) -> Block | None:
    """The block that the tokens form; the last one is the `end`. None if they form something else.
    Raises ParseError."""
    source = Source(text, found, lines)
    made, *others = trees(_body(source))
    if others or made.data != "block":
        return None
    *names, body = trees(made)
    kind, *labels = (source.written(name).strip('"') for name in names)
    if any("{" in label for label in labels):
        return None  # a template
    pairs = [trees(each) for each in trees(body) if each.data == "attribute"]
    values = {source.written(name): source.written(value) for name, value in pairs}
    return Block(kind, tuple(labels), values)


def _body(source: Source) -> "Branch":
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        (body,) = trees(grammar().parse(source.masked + "\n"))
    except UnexpectedCharacters as error:
        raise _refused(source, source.at(error.pos_in_stream)) from None
    except UnexpectedToken as error:
        raise _refused(source, source.at(error.token.start_pos)) from None
    return body


def _refused(source: Source, at: int) -> ParseError:
    """A ParseError if Terraform also rejects it: what can't follow an operand, or begin one.
    Otherwise Unread."""
    n = source.number_of(at)
    token, before = source.found[n], source.found[n - 1] if n else None
    follows = before is not None and before.kind in ENDS and before.text not in ("for", "in", "if")
    error = unexpected(token, source.lines, ONE_LINE if follows else "a value")
    if follows or token.kind not in BEGINS:
        return error
    return Unread(error.place, error.what, error.fix)


@cache
def grammar() -> "Lark":
    """The one saved next to python-hcl2's own, if there is one; otherwise it is built."""
    import hcl2.parser
    from lark import Lark

    saved = Path(hcl2.parser.__file__).with_name(GRAMMAR)
    if not saved.exists():
        return hcl2.parser.parser()
    with saved.open("rb") as file:
        return Lark.load(file)
