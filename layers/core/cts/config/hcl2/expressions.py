"""Turns expressions in python-hcl2's tree into nodes that can be evaluated."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cts.config.hcl2.mask import BETWEEN
from cts.config.hcl2.nodes import (
    Binary,
    Call,
    Conditional,
    ForList,
    ForMap,
    Index,
    ListOf,
    Literal,
    Loop,
    MapOf,
    Name,
    Node,
    Unary,
    Unread,
    out_of_range,
    too_nested,
)
from cts.config.hcl2.source import Source, trees
from cts.config.hcl2.templates import (
    For,
    If,
    Interpolation,
    Part,
    TemplateEnd,
    decoded,
    template,
    unindented,
)
from cts.config.hcl2.tokens import Token
from cts.config.hcl2.values import NUMBERS
from cts.config.text.tree import MAX_DEPTH, ParseError

if TYPE_CHECKING:
    from cts.config.hcl2.source import Branch

CONSTANTS = {"true": True, "false": False, "null": None}
LONGEST_EXPONENT = 8
"""Terraform rejects exponents with more digits than this."""
LINES = re.compile(r"[^\n]*\n|[^\n]+")


class Expressions:
    """Methods raise ParseError for anything that is not a constant, or is nested too deeply."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def expression(self, branch: "Branch", depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise too_nested(self.source.place(branch))
        if branch.data != "conditional":
            return self.operation(branch, depth)
        asked, *sides = trees(branch)
        condition = self.operation(asked, depth)
        then, otherwise = [self.expression(side, depth + 1) for side in sides]
        return Conditional(condition.place, condition, then, otherwise)

    def operation(self, branch: "Branch", depth: int) -> Node:
        """Operators of the same precedence form a chain to the left, which can be long."""
        chain: list[tuple[str, Branch]] = []
        while branch.data == "binary_op":
            branch, term = trees(branch)
            operator, right = trees(term)
            chain.append((self.source.written(operator), right))
        node = self.unary(branch, depth)
        for mark, right in reversed(chain):
            node = Binary(node.place, mark, node, self.operation(right, depth))
        return node

    def unary(self, branch: "Branch", depth: int) -> Node:
        if branch.data != "unary_op":
            return self.postfix(branch, depth)
        (term,) = trees(branch)
        node = self.postfix(term, depth)
        for sign in reversed(self.source.signs[self.source.start_of(branch)]):
            node = Unary(self.source.lines.place(sign.at), sign.kind, node)
        return node

    def postfix(self, branch: "Branch", depth: int) -> Node:
        """A term with indices and attributes: also a chain to the left."""
        chain: list[Branch] = []
        while branch.data == "expr_term" and not isinstance(branch.children[0], str):
            (inner,) = trees(branch)
            if not inner.data.endswith("_expr_term"):
                break
            branch, asked = trees(inner)
            chain.append(asked)
        node = self.term(branch, depth)
        for asked in reversed(chain):
            node = Index(node.place, node, self.key(asked, depth))
        return node

    def key(self, asked: "Branch", depth: int) -> Node:
        match asked.data:
            case "braces_index":
                return self.expression(trees(asked)[0], depth + 1)
            case "short_index":
                return self.number(asked)
            case "get_attr":
                (name,) = trees(asked)
                return Literal(self.source.place(name), self.source.written(name))
        star = self.source.lines.place(self.source.start_of(asked) + 1)
        what = "`*` is not supported here"
        raise Unread(star, what, "write a for expression: [for x in list : x.name]")

    def term(self, branch: "Branch", depth: int) -> Node:
        (inner,) = trees(branch)
        if isinstance(branch.children[0], str):  # a parenthesis
            return self.expression(inner, depth + 1)
        place = self.source.place(inner)
        match inner.data:
            case "int_lit" | "float_lit":
                return self.number(inner)
            case "literal_value":
                return Literal(place, CONSTANTS[self.source.written(inner)])
            case "identifier":
                return Name(place, self.source.written(inner))
            case "function_call":
                return Call(place)
        return self.made_of_others(inner, depth)

    def made_of_others(self, branch: "Branch", depth: int) -> Node:
        place = self.source.place(branch)
        match branch.data:
            case "string":
                return self.template(branch, depth)
            case "tuple":
                items = [self.expression(each, depth + 1) for each in trees(branch)]
                return ListOf(place, tuple(items))
            case "object":
                return MapOf(place, tuple(self.pairs(branch, depth)))
            case "for_tuple_expr" | "for_object_expr":
                return self.loop_of(branch, depth)
        raise Unread(place, "this kind of expression can't be read here")

    def number(self, branch: "Branch") -> Node:
        """A literal, or the position after a dot."""
        digits = str(branch.children[-1])
        place = self.source.lines.place(self.source.at(branch.meta.end_pos) - len(digits))
        try:
            return Literal(place, NUMBERS.create_decimal(digits))
        except ArithmeticError:
            error = out_of_range(place)
            exponent = digits.lower().partition("e")[2].lstrip("+-")
            is_refused = len(exponent) > LONGEST_EXPONENT
            raise ParseError(place, error.what, error.fix) if is_refused else error from None

    # ---- maps -----------------------------------------------------------------------------------

    def pairs(self, branch: "Branch", depth: int) -> Iterator[tuple[Node, Node]]:
        for each in trees(branch):
            first = self.source.first(each)
            if self.source.found[first - 1].kind not in BETWEEN:  # python-hcl2 accepts it
                raise self.source.unexpected(self.source.found[first].at, '"," or "}"')
            yield self.pair(each, depth)

    def pair(self, branch: "Branch", depth: int) -> tuple[Node, Node]:
        key, value = trees(branch)
        (inner,) = trees(key)
        if inner.data == "keyword":  # `for`, the only keyword the mask can leave here
            raise self.source.unexpected(self.source.at(key.meta.end_pos))
        if getattr(inner.children[0], "data", "") in ("identifier", "literal_value"):
            name: Node = Literal(self.source.place(inner), self.source.written(inner))
        else:
            name = self.expression(inner, depth + 1)
        return name, self.expression(value, depth + 1)

    # ---- loops ----------------------------------------------------------------------------------

    def loop_of(self, branch: "Branch", depth: int) -> Node:
        intro, *made = trees(branch)
        condition = trees(made.pop())[0] if made[-1].data == "for_cond" else None
        loop = self.loop(trees(intro), depth)
        *key, item = [self.expression(each, depth + 1) for each in made]
        if condition is not None:
            loop = Loop(loop.names, loop.collection, self.expression(condition, depth + 1))
        place = self.source.place(branch)
        if not key:
            return ForList(place, loop, item)
        return ForMap(place, loop, key[0], item, is_grouped="..." in branch.children)

    def loop(self, parts: "list[Branch]", depth: int) -> Loop:
        *names, collection = parts
        return Loop(
            tuple(self.source.written(name) for name in names),
            self.expression(collection, depth + 1),
        )

    # ---- strings --------------------------------------------------------------------------------

    def template(self, branch: "Branch", depth: int) -> Node:
        """A string or heredoc. A `~` removes the white space next to it."""
        opening = self.source.openings[self.source.start_of(branch)]
        parts: list[Part] = []
        trims = False
        for each in trees(branch):
            inner = each.children[0]
            if isinstance(inner, str):
                first, *others = self.literal(each, is_heredoc=opening.text != '"')
                parts += [first.lstrip() if trims else first, *others]
                trims = False
                continue
            written = self.source.written(inner)
            if written[2] == "~" and parts and isinstance(before := parts[-1], str):
                parts[-1] = before.rstrip()
            parts.append(self.part(inner, depth))
            trims = written.endswith("~}")
        if opening.text.startswith("<<-"):
            parts = unindented(parts)
        return template(self.source.lines.place(opening.at), parts)

    def literal(self, branch: "Branch", *, is_heredoc: bool) -> list[str]:
        """A text with its escapes decoded, split into lines, because indentation is per line."""
        at = self.source.start_of(branch)
        made: list[str] = []
        for line in LINES.findall(self.source.written(branch)):
            made.append(decoded(Token("text", line, at), self.source.lines, is_heredoc=is_heredoc))
            at += len(line)
        return made

    def part(self, branch: "Branch", depth: int) -> Part:
        """The content of `${}` or `%{}`."""
        place = self.source.place(branch)
        match branch.data:
            case "interpolation":
                return Interpolation(self.expression(trees(branch)[0], depth + 1))
            case "template_if_start":
                return If(place, self.expression(trees(branch)[0], depth + 1))
            case "template_for_start":
                return For(place, self.loop(trees(branch), depth))
        return TemplateEnd(place, branch.data.removeprefix("template_"))
