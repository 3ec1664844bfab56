"""The variables that a local module declares.

A module's expressions are none of our business: only the blocks `variable` are looked at, and of
them only what stands directly inside.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cts.config.bundle import root_files
from cts.config.hcl2.read import block
from cts.config.hcl2.tokens import Token, statements, tokens
from cts.config.rules.problem import Place
from cts.config.text.json_text import read_json
from cts.config.text.read import decoded
from cts.config.text.tree import BOM, Body, Entry, Lines, ParseError, Value

OVERRIDES = ("override.tf", "override.tf.json")


@dataclass(frozen=True, slots=True)
class Declared:
    required: bool
    """It has no default."""
    place: Place
    const: bool = False
    """Terraform 1.15 has to know its value at `init`."""


def declared(module: Mapping[str, bytes]) -> Mapping[str, Declared]:
    """The variables of a module's own files, by name. Raises ParseError at what can't be read
    here: Terraform decides whether it is wrong."""
    made: dict[str, Declared] = {}
    names = (name for name in root_files(module) if not name.startswith("."))
    for name in sorted(names, key=lambda name: (_is_override(name), name)):
        for variable, found in _declarations(module[name], name):
            made[variable] = _merged(made[variable], found) if variable in made else found
    return made


def _is_override(name: str) -> bool:
    return name in OVERRIDES or name.endswith(tuple(f"_{each}" for each in OVERRIDES))


def _merged(base: Declared, override: Declared) -> Declared:
    return replace(
        base,
        required=base.required and override.required,
        const=base.const or override.const,
    )


def _declarations(content: bytes, file: str) -> Iterator[tuple[str, Declared]]:
    """Raises ParseError."""
    text, problem = decoded(content, file)
    if problem:
        raise ParseError(problem.place, problem.what, problem.fix)
    text = text.removeprefix(BOM)
    if file.endswith(".json"):
        body, errors = read_json(text, file)
        if errors:
            raise errors[0]
        yield from _in_json(body)
        return
    lines = Lines(text, file)
    for statement in statements(tokens(text, lines)):
        if statement[0].kind == "name" and statement[0].text == "variable":
            yield _variable(text, statement, lines)


def _variable(text: str, statement: list[Token], lines: Lines) -> tuple[str, Declared]:
    """`variable "name" { ... }`; the quotes may be missing."""
    place = lines.place(statement[0].at)
    found = block(text, statement, lines)
    if not found or len(found.labels) != 1:
        raise ParseError(place, "this is not a valid variable declaration")
    (name,), attributes = found.labels, found.attributes
    return name, Declared("default" not in attributes, place, attributes.get("const") == "true")


def _in_json(body: Body) -> Iterator[tuple[str, Declared]]:
    for kind in _entries(Value(Place(""), body)):
        if kind.key == "variable":
            for variable in _entries(kind.value):
                found = {entry.key: entry.value.data for entry in _entries(variable.value)}
                const = found.get("const") is True
                yield variable.key, Declared("default" not in found, variable.place, const)


def _entries(value: Value) -> Iterator[Entry]:
    """The entries of a JSON object, or of each object in a list, without comments."""
    match value.data:
        case Body(entries):
            yield from (entry for entry in entries if entry.key != "//")
        case tuple() as items:
            for item in items:
                yield from _entries(item)
        case _:
            raise ParseError(value.place, "a block must be a JSON object or a list of objects")
