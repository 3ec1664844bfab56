"""The modules that a local module uses itself."""

import re
from collections.abc import Iterator
from contextlib import suppress
from posixpath import basename, dirname, join

from cts.config.bundle import TERRAFORM, Files, inside
from cts.config.hcl2 import shape
from cts.config.hcl2.read import Block, block
from cts.config.hcl2.tokens import statements, tokens
from cts.config.text import json_text
from cts.config.text.tree import BOM, Lines, ParseError, Value

STRING = re.compile(r'"([^"\\$%]+)"')


def sources_outside(module: Files) -> Iterator[str]:
    """The local modules that a module uses from outside its own folder. Files that can't be
    read are left to Terraform."""
    for name in filter(_is_terraform, module):
        for source in _local_sources(module, name):
            if inside(join(dirname(name), source)) is None:
                yield source


def broken_files(module: Files) -> Iterator[ParseError]:
    """For each file of a module, and of the modules in its folder that it uses: where it stops
    being what Terraform reads."""
    in_folder: dict[str, list[str]] = {}
    for name in sorted(filter(_is_terraform, module)):
        in_folder.setdefault(dirname(name) or ".", []).append(name)
    folders = ["."]
    known = {*folders}
    for folder in folders:
        for name in in_folder.get(folder, ()):
            if error := _fault(module[name], name):
                yield error
            used = (inside(join(folder, source)) for source in _local_sources(module, name))
            new = {each for each in used if each and each not in known}
            folders += new
            known |= new


def _is_terraform(name: str) -> bool:
    """Terraform leaves hidden files out."""
    return name.endswith(TERRAFORM) and not basename(name).startswith(".")


def _fault(content: bytes, file: str) -> ParseError | None:
    if file.endswith(".json"):
        return json_text.fault(content.decode(errors="replace"), file)
    return shape.fault(content, file)


def _local_sources(module: Files, file: str) -> list[str]:
    try:
        text = module[file].decode().removeprefix(BOM)
        found = [*_sources(text, file)]
    except (ParseError, UnicodeDecodeError):
        return []
    return [source for source in found if source.startswith(("./", "../"))]


def _sources(text: str, file: str) -> Iterator[str]:
    """Raises ParseError."""
    lines = Lines(text, file)
    if file.endswith(".json"):
        yield from _in_json(Value(lines.place(0), json_text.read_json(text, file)[0]))
        return
    for statement in statements(tokens(text, lines)):
        if statement[0].kind == "name" and statement[0].text == "module":
            with suppress(ParseError):
                yield from _in_block(block(text, statement, lines))


def _in_block(module: Block | None) -> Iterator[str]:
    written = module.attributes.get("source", "") if module else ""
    if found := STRING.fullmatch(written):
        yield found[1]


def _in_json(top: Value) -> Iterator[str]:
    for kind in top.entries:
        for item in kind.value.items if kind.key == "module" else ():
            for module in item.entries:
                for body in module.value.items:
                    found = (each.value.data for each in body.entries if each.key == "source")
                    yield from (source for source in found if isinstance(source, str))
