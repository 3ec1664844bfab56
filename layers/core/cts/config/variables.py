"""A variable file, as Terraform's `.tfvars`: names and plain values, as JSON values."""

from typing import Any

from cts.config.hcl import VARIABLES, read_hcl
from cts.config.problem import Code, Place, Problem
from cts.config.read import decoded
from cts.config.tree import Body, Value


def read_variables(content: bytes, file: str) -> tuple[dict[str, Any], list[Problem]]:
    """The file's variables, and what is wrong with it. Expressions are not evaluated."""
    text, problem = decoded(content, file)
    if problem:
        return {}, [problem]
    body, errors = read_hcl(text, file, VARIABLES)
    problems = [Problem(e.place, "", Code.VARIABLE_FILE, e.what, e.fix) for e in errors]
    variables: dict[str, Any] = {}
    for entry in body.entries:
        if entry.key in variables:
            problems.append(_twice(entry.place, entry.key))
        variables[entry.key] = plain(entry.value)
    return variables, problems


def _twice(place: Place, name: str) -> Problem:
    return Problem(place, name, Code.VARIABLE_FILE, "this variable is set twice", "remove one")


def plain(value: Value) -> Any:
    """The value as JSON has it."""
    match value.data:
        case Body(entries):
            return {entry.key: plain(entry.value) for entry in entries}
        case tuple() as items:
            return [plain(item) for item in items]
    return value.data
