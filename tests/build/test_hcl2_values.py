"""Made-up expressions have the value here that Terraform gives them, all of them."""

import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cts.conditions.services import ServicesCondition
from cts.config.modules.tfvars import read_variables
from cts.terraform.definition import Definition, Module, VariableFile
from cts.terraform.files import files
from tests.unit.test_terraform_files import PLACE

SAMPLE, ALL = 60, 1000
WORDS = [
    "a",
    "é",
    "$-",
    "%-",
    "$${x}",
    "%%{x}",
    "$$-",
    r"\n",
    r"\"",
    r"\u00e9",
    "}",
    "#",
    "//",
    " ",
]
NAMES = ["a", "b-c", "größe", "for_each", "in", "if", "k1", "_"]


class Made:
    """Expressions of each kind, up to some depth, with blanks, lines and comments between."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: list[str] = []
        """The numbers of the loops around."""

    def one_of(self, depth: int, leaf: Callable[[], str], *deeper: Callable[[int], str]) -> str:
        if depth == 0 or self.random.random() < 0.2:
            return leaf()
        return self.random.choice(deeper)(depth - 1)

    def gap(self) -> str:
        """Where the end of a line means nothing."""
        return self.random.choice(["", "", " ", "\n", " # c\n", " /* c */ ", "\n // c\n  "])

    def number(self, depth: int) -> str:
        def leaf() -> str:
            return self.random.choice(["0", "1", "22", "010", "2.50", "1e3", *self.names]) + " "

        pick = self.random.choice
        return self.one_of(
            depth,
            leaf,
            lambda d: f"{self.number(d)}{pick([' + ', '-', ' * ', '- -', ' - '])}{self.number(d)}",
            lambda d: f"{self.number(d)} {pick(['/', '%'])} {pick(['2', '-4', '0.5'])}",
            lambda d: f"{pick(['-', '--', '- '])}{self.number(d)}",
            lambda d: f"({self.gap()}{self.number(d)}{self.gap()})",
            lambda d: f"({self.truth(d)} ? {self.number(d)} : {self.number(d)})",
            lambda d: f"[{self.number(d)},{self.gap()}{self.number(d)}][{pick(['0', '1'])}]",
            lambda d: f"{{a = {self.number(d)}{pick([', ', chr(10)])}b : 1}}.{pick('ab')} ",
            lambda d: f'"${{{self.gap()}{self.number(d)}{self.gap()}}}"',
        )

    def truth(self, depth: int) -> str:
        pick = self.random.choice
        return self.one_of(
            depth,
            lambda: pick(["true", "false"]),
            lambda d: f"({self.number(d)} {pick(['<', '>=', '==', '!='])} {self.number(d)})",
            lambda d: f"{pick(['!', '!!', '! '])}{self.truth(d)}",
            lambda d: f"({self.truth(d)} {pick(['&&', '||'])} {self.truth(d)})",
            lambda d: f"({self.text(d)} == {self.text(d)})",
        )

    def piece(self, depth: int) -> str:
        pick = self.random.choice
        return self.one_of(
            depth,
            lambda: pick(WORDS),
            lambda d: f"{pick(['${', '${~ '])}{self.number(d)}{pick(['}', ' ~}'])}",
            lambda d: f"{pick(['${', '${~ '])}{self.text(d)}{pick(['}', ' ~}'])}",
            lambda d: f"%{{ if {self.truth(d)} ~}} {self.piece(d)}%{{ else }}b%{{ endif }}",
            lambda d: f"%{{ for x in {self.numbers(d)} }}${{x}} %{{~ endfor }}",
        )

    def text(self, depth: int) -> str:
        pieces = "".join(self.piece(depth) for _ in range(self.random.randrange(1, 4)))
        return self.random.choice([f'"-{pieces}"', f'("{pieces}.")'])

    def heredoc(self, depth: int) -> str:
        """One as a value on its own: its end is a line."""
        lines = [
            self.random.choice(["", "  ", "    "])
            + "".join(self.piece(depth) for _ in range(self.random.randrange(3)))
            for _ in range(self.random.randrange(1, 4))
        ]
        opening = self.random.choice(["<<E", "<<-E"])
        return "\n".join([opening, *lines, "  E"])

    def numbers(self, depth: int) -> str:
        return self.one_of(
            depth,
            lambda: "[1, 2]",
            lambda d: f"[{self.gap()}{self.number(d)}{self.gap()},{self.gap()}]",
            self.loop,
        )

    def loop(self, depth: int) -> str:
        collection, name = self.numbers(depth), self.random.choice(NAMES)
        self.names.append(name)
        condition = self.random.choice(["", f" if{self.gap() or ' '}{self.truth(depth)}"])
        item = self.number(depth)
        self.names.remove(name)
        return f"[for {name} in {collection} :{self.gap()} {item}{condition}]"

    def map(self, depth: int) -> str:
        name = self.random.choice
        return self.one_of(
            depth,
            lambda: "{}",
            lambda d: f'{{{name(NAMES)} = {self.value(d)}\n\n"x y" : {self.value(d)},}}',
            lambda d: f"{{\n{name(NAMES)} = {self.heredoc(d)}\n({self.text(d)}) = 2 # c\n}}",
            lambda d: f"{{for i, x in {self.numbers(d)} : {self.text(d)} => x...}}",
        )

    def value(self, depth: int) -> str:
        made = [self.number, self.truth, self.text, self.numbers, self.map]
        return self.random.choice(made)(depth)


def console(question: str, folder: Path) -> Any:
    done = subprocess.run(
        ["terraform", "console", "-no-color"],
        cwd=folder,
        env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
        input=f"jsonencode({question})\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('"'), done.stdout
    return json.loads(json.loads(done.stdout))


def terraforms(expressions: list[str], folder: Path) -> list[Any]:
    """The value of each in a list; of two items if there is none."""
    tried = "".join(
        f"  v{n} = try([\n{text}\n], [null, null])\n" for n, text in enumerate(expressions)
    )
    (folder / "main.tf").write_text(f"locals {{\n{tried}}}\n", encoding="utf-8")
    names = ", ".join(f"local.v{n}" for n in range(len(expressions)))
    return list(console(f"[{names}]", folder))


def same(one: Any, other: Any) -> bool:
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case (int() | float(), int() | float()):
            return float(one) == float(other)
        case (list(), list()):
            return len(one) == len(other) and all(map(same, one, other))
        case (dict(), dict()):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, SAMPLE), *(pytest.param(n, 200, marks=pytest.mark.soak) for n in range(0, ALL, 200))],
)
def test_no_value_is_another_than_terraforms(first: int, count: int, tmp_path: Path) -> None:
    expressions = [Made(seed).value(4) for seed in range(first, first + count)]
    expected = terraforms(expressions, tmp_path)
    read = 0
    for text, wanted in zip(expressions, expected, strict=True):
        values, problems = read_variables(f"a = {text}\n".encode(), "v.tfvars")
        if len(wanted) == 2:
            assert problems, text
        else:
            assert not problems, (text, list(map(str, problems)))
            assert same(values["a"], wanted[0]), (text, values["a"], wanted[0])
            read += 1
    assert read > count * 0.8


def test_terraform_takes_the_variables_in_the_order_of_cts(tmp_path: Path) -> None:
    """Also of files that nobody but Terraform reads."""
    definition = Definition(
        "t",
        Module("./m"),
        ServicesCondition(),
        variables={"a": 1, "b": 1, "c": 1, "d": 1},
        variable_files=(
            VariableFile(("b", "c", "d"), "b = [{ x = 2 }][*].x\nc = 2\nd = 2\n"),
            VariableFile(("c", "d"), "c = 3\nd = 3\n"),
            VariableFile(("d", "e"), "d = [4][*]\ne = 4 # as it is"),
        ),
    )
    made = files(definition, {}, description="", place=PLACE, run="run-1")
    for name, text in made.items():
        if name.startswith("variables."):
            (tmp_path / name).write_text(text, encoding="utf-8")
    assert console("[var.a, var.b, var.c, var.d, var.e]", tmp_path) == [1, [2], 3, [4], 4]
    assert "e = var.e" in made["main.tf"]
