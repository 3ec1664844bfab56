"""HCL text to plain values with positions. The only importer of hcl2.

The parser is imported when first used: building its grammar takes seconds on a cold disk.
"""

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from cts.config.masking import Dialect, Masked, mask
from cts.config.problem import Place
from cts.config.tree import Body, Data, Entry, ParseError, Value

if TYPE_CHECKING:
    from lark import Token, Tree
    from lark.exceptions import UnexpectedInput

CONFIG, VARIABLES = Dialect.CONFIG, Dialect.VARIABLES


def read_hcl(text: str, file: str, dialect: Dialect) -> tuple[Body, list[ParseError]]:
    """The file's entries, and what is wrong with its text. Raises nothing for bad input."""
    if text.startswith("\ufeff") and dialect is CONFIG:
        begins = ParseError(
            Place(file, 1, 1), "the file begins with a byte order mark", "remove it"
        )
        return Body(), [begins]
    try:
        masked = mask(text.removeprefix("\ufeff"), file, dialect)
        if masked.errors:
            return Body(), masked.errors
        source = _Source(text.removeprefix("\ufeff"), file, dialect, masked, [])
        return source.body(source.parsed()), source.errors
    except ParseError as error:
        return Body(), [error]


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    file: str
    dialect: Dialect
    masked: Masked
    errors: list[ParseError]

    def parsed(self) -> "Tree[Token]":
        """The parser's tree of the file's body."""
        import hcl2
        from lark.exceptions import UnexpectedInput

        try:
            tree: Tree[Token] = hcl2.parses_to_tree(self.masked.text)
        except UnexpectedInput as error:
            raise self.unexpected(error) from error
        return _nodes(tree)[0]

    def unexpected(self, error: "UnexpectedInput") -> ParseError:
        return ParseError(
            Place(self.file, max(error.line, 1), max(error.column, 1)),
            f"{_shown(self.text[error.pos_in_stream :])} is not expected here",
            _expectation(getattr(error, "expected", set())),
        )

    def body(self, node: "Tree[Token]") -> Body:
        return Body(tuple(entry for child in _nodes(node) for entry in self.entry(child)))

    def entry(self, node: "Tree[Token]") -> tuple[Entry, ...]:
        try:
            return (self.block(node) if node.data == "block" else self.attribute(node),)
        except ParseError as error:
            self.errors.append(error)
            return ()

    def attribute(self, node: "Tree[Token]") -> Entry:
        name, value = _nodes(node)
        return Entry(self.name(name), self.place(name), self.value(value))

    def block(self, node: "Tree[Token]") -> Entry:
        if self.dialect is VARIABLES:
            raise ParseError(
                self.place(node), "a block is not allowed here", 'write "name = value"'
            )
        *names, body = _nodes(node)
        value = Value(self.place(names[-1]), self.body(body))
        for label in reversed(names[1:]):
            entry = Entry(self.name(label), self.place(label), value, is_label=True)
            value = Value(self.place(label), Body((entry,)))
        return Entry(self.name(names[0]), self.place(names[0]), value)

    def name(self, node: "Tree[Token]") -> str:
        token = _first(node)
        return self.masked.literals.get(token.start_pos or 0, str(token))

    def value(self, node: "Tree[Token]") -> Value:
        inner = _nodes(node)
        in_brackets = self.dialect is CONFIG and node.children[0] == "("
        if node.data == "expr_term" and len(inner) == 1 and not in_brackets:
            return self.value(inner[0])
        return Value(self.place(node), self.data(node, inner))

    def data(self, node: "Tree[Token]", inner: "list[Tree[Token]]") -> Data:
        match node.data:
            case "string":
                return self.name(node)
            case "int_lit" | "float_lit":
                return self.number(node)
            case "unary_op" if self.cut(node)[0] == "-" and inner[0].data == "expr_term":
                return self.negative(self.value(inner[0]))
            case "literal_value":
                return self.word(node)
            case "tuple":
                return tuple(self.value(child) for child in inner)
            case "object":
                return Body(tuple(self.element(child) for child in inner))
        what = f"`{self.cut(node)[:40]}` is not a plain value"
        raise ParseError(self.place(node), what, WRITE_A_VALUE)

    def negative(self, value: Value) -> int | float:
        """The parser takes `-5` for an operation on 5."""
        if isinstance(value.data, bool) or not isinstance(value.data, int | float):
            raise ParseError(value.place, "only a number can be negative", WRITE_A_VALUE)
        return -value.data

    def element(self, node: "Tree[Token]") -> Entry:
        if node.data != "object_elem":
            raise ParseError(self.place(node), "an expression is not a plain value", WRITE_A_VALUE)
        key, value = _nodes(node)
        while key.data in ("object_elem_key", "expr_term") and len(inner := _nodes(key)) == 1:
            key = inner[0]
        if key.data not in ("identifier", "string", "int_lit", "literal_value", "keyword"):
            raise ParseError(self.place(key), "a key must be a name or a string")
        return Entry(self.name(key), self.place(key), self.value(value))

    def word(self, node: "Tree[Token]") -> bool | None:
        word = str(_first(node))
        if word == "null" and self.dialect is CONFIG:
            raise ParseError(self.place(node), "null is not a value here", "leave the option out")
        return None if word == "null" else word == "true"

    def number(self, node: "Tree[Token]") -> int | float:
        text = self.cut(node)
        try:
            return _number(text, self.dialect)
        except (ValueError, OverflowError) as error:
            raise ParseError(self.place(node), f"{_shown(text)} is not a number") from error

    def cut(self, node: "Tree[Token]") -> str:
        return self.text[node.meta.start_pos : node.meta.end_pos]

    def place(self, node: "Tree[Token]") -> Place:
        return Place(self.file, node.meta.line, node.meta.column)


WRITE_A_VALUE = "write a string in double quotes, a number, true, false or a list"


def _nodes(node: "Tree[Token]") -> "list[Tree[Token]]":
    """The parts with a meaning: no brackets, separators or line ends."""
    trees = [child for child in node.children if not isinstance(child, str)]
    return [tree for tree in trees if tree.data != "new_line_or_comment"]


def _first(node: "Tree[Token]") -> "Token":
    first = node.children[0]
    return first if isinstance(first, str) else _first(first)


def _number(text: str, dialect: Dialect) -> int | float:
    """Raises ValueError or OverflowError. HCL 1 has hex and octal numbers."""
    digits = text.removeprefix("-").lower()
    if dialect is CONFIG and digits.startswith("0x"):
        return int(text, 16)
    if digits.isdigit():
        octal = dialect is CONFIG and digits.startswith("0")
        return int(text, 8 if octal else 10)
    number = float(text)
    if not isfinite(number):
        raise OverflowError(text)
    return int(number) if number.is_integer() else number


def _shown(text: str) -> str:
    """The first token of a text, for a message; never a string, which may be a secret."""
    if not text.strip(" \t\r"):
        return "the end of the file"
    if found := re.match(r'[ \t\r]*("[^"\n]*"|[\w.-]+|\S)', text):
        return "a string" if found[1].startswith('"') else f"`{found[1][:40]}`"
    return "the end of the line"


def _expectation(expected: set[str]) -> str:
    if "LBRACE" in expected and "LSQB" not in expected:
        return 'the name before it needs "=" and a value, or "{" and a block'
    if "LSQB" in expected:
        return f"expected a value: {WRITE_A_VALUE}"
    if "NAME" in expected:
        return "expected an option or a block"
    return 'expected "," or "]"' if "RSQB" in expected else ""
