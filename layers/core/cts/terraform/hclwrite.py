"""Python values as HCL, formatted as `terraform fmt` leaves them.

Every string is data: quotes, backslashes, line ends, `${` and `%{` are escaped, so that what
Consul holds can never become Terraform code.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_NAME = re.compile(r"(?!for$)[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_TEMPLATE_START = re.compile(r"([$%])(?=\{)")
_PLAIN = re.compile(r"[ !#-\[\]-z|}~]*")
"""What needs no escapes, like nearly all texts. Looking at each character is slow."""


def quoted(text: str) -> str:
    """A string literal. Printable characters stay readable, others become `\\uXXXX`. Half a
    surrogate pair, which JSON may hold and Terraform may not, becomes U+FFFD."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    escaped = "".join(_escape(char) for char in text)
    return '"' + _TEMPLATE_START.sub(r"\1\1", escaped) + '"'


def key(text: str) -> str:
    """A map key, always quoted: bare, a first key `for` would start a for-expression. ASCII
    only, since `terraform fmt` aligns by what a reader sees as one character."""
    literal = quoted(text)
    if literal.isascii():
        return literal
    return "".join(char if char.isascii() else _code_point(char) for char in literal)


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return char if char.isprintable() else _code_point(char)


def _code_point(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def is_name(text: str) -> bool:
    """Whether a text can be the name of a block or an attribute, or be a key without quotes."""
    return bool(_NAME.fullmatch(text))


def name_or_key(text: str) -> str:
    return text if is_name(text) else key(text)


def value(of: Any, *, names: bool = False) -> str:
    """A JSON value as an expression; with several lines if it contains a map that isn't empty.
    With `names` keys have no quotes where they need none."""
    match of:
        case None:
            return "null"
        case bool():
            return "true" if of else "false"
        case str():
            return quoted(of)
        case int() | float():
            return repr(of)
        case Mapping():
            spelt = name_or_key if names else key
            return block({spelt(name): value(of[name], names=names) for name in sorted(of)})
        case _:
            return _sequence([value(item, names=names) for item in of])


def block(attributes: Mapping[str, str]) -> str:
    """An object: `{`, one `name = expression` a line, `}`."""
    if not attributes:
        return "{}"
    return "{\n" + indented("\n".join(attribute_lines(attributes))) + "\n}"


def attribute_lines(attributes: Mapping[str, str]) -> Iterator[str]:
    """`name = expression` for each, both as they are. The `=` of neighbours are aligned; an
    attribute of several lines is not aligned."""
    for group in _groups(attributes):
        width = max(map(len, group))
        for name in group:
            yield f"{name:<{width}} = {attributes[name]}"


def statement(opening: str, *lines: str) -> str:
    """A block of Terraform's language: `opening {`, the lines, `}`."""
    return "\n".join([f"{opening} {{", *map(indented, lines), "}", ""])


def as_blocks(of: Any) -> list[Mapping[str, Any]]:
    """The nested blocks that a JSON value can be: an object is one, if its keys are names, and a
    list of such objects is several. Empty if it can only be an attribute."""
    found = of if isinstance(of, list) else [of]
    are_blocks = (isinstance(each, Mapping) and all(map(is_name, each)) for each in found)
    return found if all(are_blocks) else []


def map_of_objects(types: str) -> str:
    """The type of a variable. `types`: the lines of the objects' attributes."""
    return "map(\n" + indented("object({\n" + indented(types) + "\n})") + "\n)"


def const_attribute(*, const: bool) -> dict[str, str]:
    """A value for a module's constant must be a constant in the root module too. Terraform
    before 1.15 does not have constants, so only these variables say so."""
    return {"const": "true"} if const else {}


def indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))


def _groups(attributes: Mapping[str, str]) -> Iterator[list[str]]:
    for aligned, group in groupby(attributes, key=lambda name: "\n" not in attributes[name]):
        names = list(group)
        yield from [names] if aligned else [[name] for name in names]


def _sequence(items: Sequence[str]) -> str:
    if any("\n" in item for item in items):
        return "[\n" + indented("".join(f"{item},\n" for item in items)) + "]"
    return "[" + ", ".join(items) + "]"
