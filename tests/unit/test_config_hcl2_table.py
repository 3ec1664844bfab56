"""What became of each text in HCL 2 when python-hcl2 took the place of a parser of our own.

`cases/hcl2.json` has all texts that the tests of that parser had: what it made of them, what is
made of them now, and whether Terraform 1.11.4 reads the variable files.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cts.config.modules.declared import declared
from cts.config.modules.sources import broken_files
from cts.config.modules.terraform_file import terraform_files
from cts.config.modules.tfvars import read_expression, read_variables
from cts.config.rules.problem import Code, Place, Problem
from cts.config.text.tree import ParseError

READ = cache(read_variables)
"""Each row's text is read for its outcome, and for what became of it."""
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "cases/hcl2.json").read_text(encoding="utf-8")
)
BECAME = {
    "same": "the same value, or the same mistake at the same place",
    "travels": "refused before; Terraform gets the file as it is",
    "read": "refused before; has the value that Terraform gives it",
    "words": "refused in other words",
}


def outcome(kind: str, text: Any) -> dict[str, Any]:
    match kind:
        case "variable file":
            values, problems = READ(text.encode(), "v.tfvars")
            return {"values": values, "problems": said(problems)}
        case "expression":
            value, problems = read_expression(text, Place("c.hcl", 3, 4), "a")
            return {"value": value, "problems": said(problems)}
    return of_module({name: each.encode(errors="surrogateescape") for name, each in text.items()})


def said(problems: list[Problem]) -> list[str]:
    return [f"{problem.place}: {problem.what}" for problem in problems]


def of_module(module: Mapping[str, bytes]) -> dict[str, Any]:
    files = terraform_files(module)
    made: dict[str, Any] = {
        "broken": [f"{error.place}: {error.what}" for error in broken_files(files)]
    }
    try:
        found = declared(files)
    except ParseError as error:
        return {**made, "unread": f"{error.place}: {error.what}"}
    variables = {name: [each.required, str(each.place), each.const] for name, each in found.items()}
    return {**made, "variables": variables}


def became(row: dict[str, Any], now: dict[str, Any]) -> str:
    before = row["before"]
    if row["kind"] == "variable file":
        _, problems = READ(row["text"].encode(), "v.tfvars")
        if problems and all(each.code is Code.NOT_CHECKED for each in problems):
            return "travels"
    if now == before:
        return "same"
    return "read" if before.get("problems") and not now.get("problems") else "words"


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 10))]
)
def test_each_text_became_what_the_table_says(first: int) -> None:
    """Of each tenth row; `make unit` tries one tenth only."""
    for number, row in [*enumerate(ROWS)][first::10]:
        now = outcome(row["kind"], row["text"])
        assert (number, now) == (number, row.get("after", row["before"]))
        assert (number, became(row, now)) == (number, row["became"])
        assert row["became"] in BECAME


def test_no_value_is_another_one() -> None:
    for row in ROWS:
        before, after = row["before"], row.get("after", row["before"])
        if not (before.get("problems") or before.get("broken") or "unread" in before):
            assert repr(after) == repr(before)


def test_what_terraform_reads_is_read_or_travels() -> None:
    for row in ROWS:
        if row.get("terraform") == "reads" and row["before"]["problems"]:
            assert row["became"] in ("travels", "read"), row["text"]
