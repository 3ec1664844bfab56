"""The modules that a local module uses itself."""

from collections.abc import Iterator
from posixpath import dirname, join

from cts.config.bundle import TERRAFORM, Files, inside
from cts.config.hcl2.tokens import Token, statements, tokens
from cts.config.json_text import read_json
from cts.config.tree import BOM, Lines, ParseError, Value


def sources_outside(module: Files) -> Iterator[str]:
    """The local modules that a module uses from outside its own folder. What can't be read is
    Terraform's to refuse."""
    for name in module:
        if not name.endswith(TERRAFORM):
            continue
        try:
            for source in _sources(module[name].decode().removeprefix(BOM), name):
                if source.startswith(("./", "../")) and inside(join(dirname(name), source)) is None:
                    yield source
        except (ParseError, UnicodeDecodeError):
            continue


def _sources(text: str, file: str) -> Iterator[str]:
    """Raises ParseError."""
    if file.endswith(".json"):
        yield from _in_json(Value(Lines(text, file).place(0), read_json(text, file)[0]))
        return
    for block in statements(tokens(text, Lines(text, file))):
        if block[0].kind == "name" and block[0].text == "module":
            brace = next((n for n, token in enumerate(block) if token.kind == "{"), len(block))
            yield from _in_block([*block[brace + 1 : -2], Token("end", "", 0)])


def _in_block(body: list[Token]) -> Iterator[str]:
    for statement in statements(body):
        kinds = [token.kind for token in statement[:5]]
        if kinds == ["name", "=", "quote", "text", "unquote"] and statement[0].text == "source":
            yield statement[3].text


def _in_json(top: Value) -> Iterator[str]:
    for block in top.entries:
        for item in block.value.items if block.key == "module" else ():
            for module in item.entries:
                for body in module.value.items:
                    found = (each.value.data for each in body.entries if each.key == "source")
                    yield from (source for source in found if isinstance(source, str))
