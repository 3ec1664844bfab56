"""HCL 2 expressions from tokens, as Terraform parses them."""

from collections.abc import Iterator
from contextlib import contextmanager

from cts.config.hcl2.cursor import Cursor
from cts.config.hcl2.nodes import (
    Binary,
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
    out_of_range,
)
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
from cts.config.tree import MAX_DEPTH, too_deep

WORDS = {"true": True, "false": False, "null": None}
LEVELS = {
    mark: level
    for level, marks in enumerate(("||", "&&", "== !=", "< <= > >=", "+ -", "* / %"))
    for mark in marks.split()
}
"""How strongly an operator binds."""


class Parser(Cursor):
    """Every method raises ParseError at what is not expected."""

    depth = 0

    @contextmanager
    def deeper(self) -> Iterator[None]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise too_deep(self.place(self.token))
        yield
        self.depth -= 1

    def expression(self) -> Node:
        with self.deeper():
            node = self.operation()
            if not self.accept("?"):
                return node
            then = self.expression()
            self.expect(":", '":" and what counts otherwise')
            return Conditional(node.place, node, then, self.expression())

    def operation(self) -> Node:
        operands, marks = [self.unary()], list[str]()

        def combine() -> None:
            right, left = operands.pop(), operands.pop()
            operands.append(Binary(left.place, marks.pop(), left, right))

        while (mark := self.token.kind) in LEVELS:
            while marks and LEVELS[marks[-1]] >= LEVELS[mark]:
                combine()
            self.at += 1
            marks.append(mark)
            operands.append(self.unary())
        while marks:
            combine()
        return operands[0]

    def unary(self) -> Node:
        marks = []
        while mark := self.accept("-") or self.accept("!"):
            marks.append(mark)
        node = self.postfix(self.term())
        for mark in reversed(marks):
            node = Unary(self.place(mark), mark.kind, node)
        return node

    def term(self) -> Node:
        token = self.token
        match token.kind:
            case "number":
                self.at += 1
                return self.number(token)
            case "name":
                self.at += 1
                return self.name(token)
            case "quote":
                return self.template()
            case "(":
                return self.parentheses()
            case "[":
                return self.list()
            case "{":
                return self.map()
        raise self.unexpected("a value")

    def number(self, token: Token) -> Node:
        try:
            return Literal(self.place(token), NUMBERS.create_decimal(token.text))
        except ArithmeticError:
            raise out_of_range(self.place(token)) from None

    def name(self, token: Token) -> Node:
        if self.token.kind in ("(", "::"):
            what = "a function can't be called here: only constants have a value"
            raise self.error(token, what, "write the value that it gives")
        if token.text in WORDS:
            return Literal(self.place(token), WORDS[token.text])
        return Name(self.place(token), token.text)

    def parentheses(self) -> Node:
        opening = self.expect("(", "")
        with self.inside(skips_lines=True):
            node = self.expression()
            self.close(")", opening)
        return node

    def postfix(self, node: Node) -> Node:
        while True:
            if self.token.kind == "[":
                node = self.index(node)
            elif self.accept("."):
                node = self.item(node)
            else:
                return node

    def index(self, node: Node) -> Node:
        opening = self.expect("[", "")
        with self.inside(skips_lines=True):
            self.no_splat()
            key = self.expression()
            self.close("]", opening)
        return Index(node.place, node, key)

    def no_splat(self) -> None:
        if self.token.kind == "*":
            what = "`*` for all items is not supported here"
            raise self.error(self.token, what, "write a for expression: [for x in list : x.name]")

    def item(self, node: Node) -> Node:
        """What stands behind a dot: a name, or a position."""
        self.no_splat()
        if token := self.accept("name"):
            return Index(node.place, node, Literal(self.place(token), token.text))
        if self.token.text.isdigit() and (token := self.accept("number")):
            return Index(node.place, node, self.number(token))
        raise self.unexpected("a name")

    def list(self) -> Node:
        opening = self.expect("[", "")
        with self.inside(skips_lines=True):
            if self.accept_word("for"):
                loop = self.loop()
                item = self.expression()
                made: Node = ForList(self.place(opening), self.end_of_loop(loop), item)
            else:
                made = ListOf(self.place(opening), tuple(self.items()))
            self.close("]", opening)
        return made

    def items(self) -> Iterator[Node]:
        while self.token.kind != "]":
            yield self.expression()
            if not self.accept(","):
                break

    def map(self) -> Node:
        opening = self.expect("{", "")
        with self.inside(skips_lines=False):
            self.skip_lines()
            if self.accept_word("for"):
                self.skips_lines = True
                made = self.for_map(opening)
            else:
                made = MapOf(self.place(opening), tuple(self.pairs()))
            self.close("}", opening)
        return made

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        while self.token.kind != "}":
            key = self.key()
            if not (self.accept("=") or self.accept(":")):
                raise self.unexpected('"=" and a value')
            yield key, self.expression()
            if not self.accept(",") and self.token.kind != "line":
                break
            self.skip_lines()

    def skip_lines(self) -> None:
        while self.accept("line"):
            pass

    def key(self) -> Node:
        """A name stands for itself; anything else is an expression."""
        token, after = self.tokens[self.at : self.at + 2]
        if token.kind == "name" and after.kind in ("=", ":"):
            self.at += 1
            return Literal(self.place(token), token.text)
        return self.expression()

    def for_map(self, opening: Token) -> Node:
        loop = self.loop()
        key = self.expression()
        self.expect("=>", '"=>" and the value of the key')
        item = self.expression()
        is_grouped = self.accept("...") is not None
        return ForMap(self.place(opening), self.end_of_loop(loop), key, item, is_grouped)

    def loop(self) -> Loop:
        loop = self.loop_head()
        self.expect(":", '":" and what to make of each item')
        return loop

    def loop_head(self) -> Loop:
        names = [self.expect("name", "a name for the item").text]
        if self.accept(","):
            names.append(self.expect("name", "a name for the item").text)
        if not self.accept_word("in"):
            raise self.unexpected('"in" and a list or a map')
        return Loop(tuple(names), self.expression())

    def end_of_loop(self, loop: Loop) -> Loop:
        condition = self.expression() if self.accept_word("if") else None
        return Loop(loop.names, loop.collection, condition)

    def template(self) -> Node:
        """A string or heredoc. A `~` takes the blanks away from the text beside it."""
        opening = self.expect("quote", "")
        is_heredoc, trims = opening.text != '"', False
        parts: list[Part] = []
        while not self.accept("unquote"):
            if token := self.accept("text"):
                text = decoded(token, self.lines, is_heredoc=is_heredoc)
                parts.append(text.lstrip() if trims else text)
                trims = False
                continue
            token = self.expect("template", "text")
            if token.text.endswith("~") and parts and isinstance(before := parts[-1], str):
                parts[-1] = before.rstrip()
            with self.inside(skips_lines=True):
                parts.append(self.part(token))
                closing = self.expect("close", f'"}}" to close this "{token.text}"')
            trims = closing.text.startswith("~")
        if opening.text.startswith("<<-"):
            parts = unindented(parts)
        return template(self.place(opening), parts)

    def part(self, opening: Token) -> Part:
        """What stands in `${}` or `%{}`."""
        if opening.text.startswith("$"):
            return Interpolation(self.expression())
        place = self.place(opening)
        match self.expect("name", "if, else, endif, for or endfor"):
            case Token(text="if"):
                return If(place, self.expression())
            case Token(text="for"):
                return For(place, self.loop_head())
            case Token(text="else" | "endif" | "endfor" as word):
                return TemplateEnd(place, word)
            case token:
                fix = "expected if, else, endif, for or endfor"
                raise self.error(token, "this is no directive", fix)
