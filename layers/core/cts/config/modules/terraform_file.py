"""A Terraform file of a local module: read once, for all that is asked of it.

Expressions are for Terraform to check: only the blocks `terraform`, `variable` and `module` are
read, and of them only their own arguments.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from posixpath import basename

from cts.config.bundle import TERRAFORM, Files
from cts.config.hcl2 import shape
from cts.config.hcl2.read import block
from cts.config.hcl2.tokens import Token, statements, tokens
from cts.config.rules.problem import Place
from cts.config.text import json_text
from cts.config.text.read import decoded
from cts.config.text.tree import BOM, Body, Entry, Lines, ParseError, Value
from cts.terraform.versions import requirements

REQUIRED = "required_version"
STRING = re.compile(r'"([^"\\$%]+)"')


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable that a module declares."""

    required: bool
    """It has no default."""
    place: Place
    const: bool = False
    """Terraform 1.15 has to know its value at `init`."""


@dataclass(frozen=True, slots=True)
class Required:
    """Which versions of Terraform a module allows: its `required_version`."""

    constraint: str
    place: Place


@dataclass(frozen=True, slots=True)
class TerraformFile:
    fault: ParseError | None
    """Where it stops being what Terraform reads."""
    sources: tuple[str, ...] = ()
    """The local modules that it uses, as far as it can be read here."""
    variables: tuple[tuple[str, Declared], ...] = ()
    """Those it declares; in folders inside the module they are not read."""
    unread: ParseError | None = None
    """Why its variables can't be read here: Terraform decides whether that is wrong."""
    required: tuple[Required, ...] = ()
    """As far as it can be read here; in folders inside the module it is not read."""


TerraformFiles = Mapping[str, TerraformFile]
"""By name inside the module."""


def terraform_files(module: Files) -> TerraformFiles:
    """Those that Terraform reads: it leaves hidden files out."""
    names = (name for name in module if name.endswith(TERRAFORM))
    return {name: _file(module[name], name) for name in names if basename(name)[0] != "."}


def _file(content: bytes, name: str) -> TerraformFile:
    if name.endswith(".json"):
        file = _json(content.decode(errors="replace"), name)
    else:
        # Comments can contain bytes that are not UTF-8.
        file = _hcl(content.decode(errors="surrogateescape").removeprefix(BOM), name)
    _, problem = decoded(content, name)
    if problem:
        error = ParseError(problem.place, problem.what, problem.fix)
        return TerraformFile(file.fault, unread=error)
    return file


def _read(
    name: str,
    fault: ParseError | None,
    sources: Iterator[str],
    variables: Iterator[tuple[str, Declared]],
    required: Iterator[Required],
) -> TerraformFile:
    """`variables` may raise ParseError."""
    local = tuple(source for source in sources if source.startswith(("./", "../")))
    if "/" in name:
        return TerraformFile(fault, local)
    known = tuple(each for each in required if _is_valid(each))
    try:
        return TerraformFile(fault, local, tuple(variables), required=known)
    except ParseError as error:
        return TerraformFile(fault, local, unread=error, required=known)


def _is_valid(required: Required) -> bool:
    """Of anything else Terraform says what is wrong with it."""
    with suppress(ValueError):
        return bool([*requirements(required.constraint)])
    return False


# ---- HCL ----------------------------------------------------------------------------------------


def _hcl(text: str, name: str) -> TerraformFile:
    lines = Lines(text, name)
    try:
        found = tokens(text, lines)
    except ParseError as error:
        return TerraformFile(error, unread=error)
    body = [each for each in statements(found) if each[0].kind == "name"]
    modules = (each for each in body if each[0].text == "module")
    variables = (each for each in body if each[0].text == "variable")
    return _read(
        name,
        shape.fault(found, lines),
        (source for each in modules for source in _source(text, each, lines)),
        (_variable(text, each, lines) for each in variables),
        (found for each in body for found in _required(text, each, lines)),
    )


def _source(text: str, statement: list[Token], lines: Lines) -> Iterator[str]:
    """Where the module comes from; nothing where that can't be read here."""
    with suppress(ParseError):
        module = block(text, statement, lines)
        if module and (found := STRING.fullmatch(module.attributes.get("source", ""))):
            yield found[1]


def _required(text: str, statement: list[Token], lines: Lines) -> Iterator[Required]:
    if statement[0].text != "terraform":
        return
    with suppress(ParseError):
        settings = block(text, statement, lines)
        if settings and (found := STRING.fullmatch(settings.attributes.get(REQUIRED, ""))):
            yield Required(found[1], lines.place(statement[0].at))


def _variable(text: str, statement: list[Token], lines: Lines) -> tuple[str, Declared]:
    """`variable "name" { ... }`; the quotes may be missing. Raises ParseError."""
    place = lines.place(statement[0].at)
    found = block(text, statement, lines)
    if not found or len(found.labels) != 1:
        raise ParseError(place, "this is not a valid variable declaration")
    (name,), attributes = found.labels, found.attributes
    return name, Declared("default" not in attributes, place, attributes.get("const") == "true")


# ---- JSON ---------------------------------------------------------------------------------------


def _json(text: str, name: str) -> TerraformFile:
    fault = json_text.fault(text, name)
    body, errors = json_text.read_json(text.removeprefix(BOM), name)
    if errors:
        return TerraformFile(fault, unread=errors[0])
    top = Value(Place(name, 1, 1), body)
    return _read(name, fault, _json_sources(top), _json_variables(top), _json_required(top))


def _json_sources(top: Value) -> Iterator[str]:
    for kind in top.entries:
        for item in kind.value.items if kind.key == "module" else ():
            for module in item.entries:
                for body in module.value.items:
                    found = (each.value.data for each in body.entries if each.key == "source")
                    yield from (source for source in found if isinstance(source, str))


def _json_required(top: Value) -> Iterator[Required]:
    with suppress(ParseError):
        for kind in _blocks(top):
            for entry in _blocks(kind.value) if kind.key == "terraform" else ():
                if entry.key == REQUIRED and isinstance(entry.value.data, str):
                    yield Required(entry.value.data, entry.place)


def _json_variables(top: Value) -> Iterator[tuple[str, Declared]]:
    """Raises ParseError."""
    for kind in _blocks(top):
        if kind.key == "variable":
            for variable in _blocks(kind.value):
                found = {entry.key: entry.value.data for entry in _blocks(variable.value)}
                const = found.get("const") is True
                yield variable.key, Declared("default" not in found, variable.place, const)


def _blocks(value: Value) -> Iterator[Entry]:
    """The entries of a JSON object, or of each object in a list, without comments."""
    match value.data:
        case Body(entries):
            yield from (entry for entry in entries if entry.key != "//")
        case tuple() as items:
            for item in items:
                yield from _blocks(item)
        case _:
            raise ParseError(value.place, "a block must be a JSON object or a list of objects")
