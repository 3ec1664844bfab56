"""Python values as HCL, formatted as `terraform fmt` leaves them.

Every string is data: quotes, backslashes, line ends, `${` and `%{` are escaped, so that what
Consul holds can never become Terraform code.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAME = re.compile(r"(?!for$)[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_SPECIAL = re.compile(r'["\\]|[$%]\{')


def quoted(text: str) -> str:
    """A string literal. Printable characters stay readable, others become `\\uXXXX`. Half a
    surrogate pair, which JSON may hold and Terraform may not, becomes U+FFFD."""
    if text.isprintable() and not _SPECIAL.search(text):
        return f'"{text}"'
    escaped = text.translate(_ESCAPES).replace("${", "$${").replace("%{", "%%{")
    return f'"{escaped}"'


def key(text: str) -> str:
    """A map key, always quoted: bare, a first key `for` would start a for-expression. ASCII
    only, since `terraform fmt` aligns by what a reader sees as one character."""
    found = quoted(text)
    if found.isascii():
        return found
    return "".join(char if char.isascii() else _code_point(char) for char in found)


class _Escapes(dict[int, str]):
    """What to write for each character, by code point, as `str.translate` asks for it."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if "\ud800" <= char <= "\udfff":
            return "\ufffd"
        self[code] = char if char.isprintable() else _code_point(char)
        return self[code]


_ESCAPES = _Escapes(
    {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
)


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
        case str():
            return quoted(of)
        case None:
            return "null"
        case bool():
            return "true" if of else "false"
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
    aligned: list[str] = []
    for name, expression in attributes.items():
        if "\n" not in expression:
            aligned.append(name)
            continue
        yield from _aligned(aligned, attributes)
        aligned = []
        yield f"{name} = {expression}"
    yield from _aligned(aligned, attributes)


def _aligned(names: list[str], attributes: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, names), default=0)
    return (f"{name:<{width}} = {attributes[name]}" for name in names)


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
    if "\n\n" in text or text[:1] in ("", "\n") or text[-1:] == "\n":
        return "\n".join(f"  {line}" if line else line for line in text.split("\n"))
    return "  " + text.replace("\n", "\n  ")


def _sequence(items: Sequence[str]) -> str:
    if any("\n" in item for item in items):
        return "[\n" + indented("".join(f"{item},\n" for item in items)) + "]"
    return "[" + ", ".join(items) + "]"
