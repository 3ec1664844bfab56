"""However many tasks use a module, and whatever they call it, each of its files is read once."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cts.config.compile import compile_bundle
from cts.config.hcl2 import read, tokens
from cts.config.hcl2.source import Source
from cts.config.hcl2.tokens import Token
from cts.config.text import json_text
from cts.config.text.tree import Body, ParseError

TASK = 'task {{ name = "{0}" module = "{1}" condition "services" {{ names = ["a"] }} }}\n'
CALLED = ["./m", "./m/", "./x/../m", "./m"]
MODULE = {
    "m/main.tf": b'variable "services" {}\nmodule "inner" {\n  source = "./inner"\n}\n',
    "m/zone.tf": b'variable "zone" {\n  default = "dmz"\n}\n',
    "m/more.tf.json": b'{"variable": {"rack": {"default": 1}}}',
    "m/inner/main.tf": b'module "top" {\n  source = "../other"\n}\nvariable "unasked" {}\n',
    "m/other/main.tf": b"locals {}\n",
}
TEXTS = {"main.tf", "zone.tf", "more.tf.json", "inner/main.tf", "other/main.tf"}
BLOCKS = {("main.tf", 1), ("main.tf", 2), ("zone.tf", 1), ("inner/main.tf", 1)}
"""Of variables and modules, by file and line; a module inside may declare what it likes."""


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the text of each file was read."""
    counted = Counter[str]()
    scan, read_json = tokens._Scanner.tokens, json_text.read_json

    def scanned(self: tokens._Scanner) -> Iterator[Token]:
        counted[self.lines.file] += 1
        return scan(self)

    def json_read(text: str, file: str, **how: bool) -> tuple[Body, list[ParseError]]:
        counted[file] += 1
        return read_json(text, file, **how)

    monkeypatch.setattr(tokens._Scanner, "tokens", scanned)
    monkeypatch.setattr(json_text, "read_json", json_read)
    return counted


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    """How often python-hcl2 read each block."""
    counted = Counter[tuple[str, int]]()
    body = read._body

    def counting(source: Source) -> Any:
        place = source.lines.place(source.found[0].at)
        counted[place.file, place.line] += 1
        return body(source)

    monkeypatch.setattr(read, "_body", counting)
    return counted


def test_each_file_of_a_module_is_read_once(
    texts: Counter[str], blocks: Counter[tuple[str, int]]
) -> None:
    tasks = "".join(TASK.format(f"t{n}", name) for n, name in enumerate(CALLED))
    result = compile_bundle({"c.hcl": tasks.encode(), **MODULE})
    assert not result.problems
    assert texts == Counter(TEXTS)
    assert blocks == Counter(BLOCKS)


def test_of_a_module_that_is_not_hcl_each_file_is_read_once(texts: Counter[str]) -> None:
    broken = {**MODULE, "m/zone.tf": b"no module\n", "m/other/main.tf": b'a = "'}
    result = compile_bundle({"c.hcl": TASK.format("t", "./m").encode(), **broken})
    assert {problem.place.file for problem in result.problems} == {"m/zone.tf", "m/other/main.tf"}
    assert texts == Counter(TEXTS)
