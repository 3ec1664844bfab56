"""Reads variables, from a `.tfvars` file or from a single expression, as JSON values."""

from dataclasses import replace
from typing import Any

from cts.config.hcl2.nodes import Node, Unread, evaluated
from cts.config.hcl2.read import expression
from cts.config.hcl2.tokens import Token, statements, tokens, unexpected
from cts.config.hcl2.values import Budget
from cts.config.rules.problem import Code, Place, Problem
from cts.config.text.read import decoded
from cts.config.text.tree import BOM, Lines, ParseError

MOST_PROBLEMS = 50
"""The most problems reported for a file. With more, it is probably not a variable file."""
NOT_CONSTANT = "this is not a constant expression"
QUOTES = 'write strings with quotes inside, such as "\\"text\\"", and numbers and lists without'


def read_variables(content: bytes, file: str) -> tuple[dict[str, Any], list[Problem]]:
    """The file's variables and problems. If only Terraform can evaluate something, the problem is
    `not-checked`."""
    text, problem = decoded(content, file)
    if problem:
        return {}, [replace(problem, code=Code.VARIABLE_FILE)]
    text = text.removeprefix(BOM)
    lines = Lines(text, file)
    variables: dict[str, Any] = {}
    budget = Budget(text)
    problems: list[Problem] = []
    try:
        found = list(statements(tokens(text, lines)))
    except ParseError as error:
        return {}, [_problem(error)]
    for statement in found:
        name = _name(statement)
        try:
            if name in variables:
                place = lines.place(statement[0].at)
                raise ParseError(place, "this variable is set twice", "keep only one")
            node = _attribute(text, statement, lines)
            variables[name] = evaluated(node, budget)
        except ParseError as error:
            problems.append(_problem(error, name))
        if len(problems) == MOST_PROBLEMS or budget.is_spent:
            break
    return variables, problems


def names(text: str, file: str) -> tuple[str, ...]:
    """The names of all variables of a file in which each statement sets a variable."""
    found = statements(tokens(text, Lines(text, file)))
    return tuple(sorted({_name(statement) for statement in found}))


def read_expression(text: str, place: Place, path: str) -> tuple[Any, list[Problem]]:
    """The value of an expression that the configuration has as a string at that place.

    Problems are not described in detail, because a string without inner quotes may be a secret.
    """
    lines = Lines(text, place.file)
    try:
        node = expression(text, tokens(text, lines), lines, skips_lines=True)
        return evaluated(node, Budget(text)), []
    except ParseError:
        return None, [Problem(place, path, Code.VARIABLE_FILE, NOT_CONSTANT, QUOTES)]


def _name(statement: list[Token]) -> str:
    """The variable's name, or "" if there is none: a word on a line may be part of a value."""
    name, mark = statement[:2]
    return name.text if name.kind == "name" and mark.kind in ("=", "{") else ""


def _attribute(text: str, statement: list[Token], lines: Lines) -> Node:
    """The value in `name = value`. Raises ParseError if the statement is something else."""
    name, mark = statement[:2]
    place = lines.place(name.at)
    if name.kind in ("{", "["):
        raise ParseError(place, "this looks like JSON", "write name = value")
    if name.kind == "quote":
        raise ParseError(place, "a variable's name must not be quoted", "write name = value")
    if name.kind != "name":
        raise unexpected(name, lines, "a variable's name")
    if mark.kind in ("{", "quote", "name") and statement[-2].kind == "}":
        raise ParseError(place, "a block is not allowed here", "write name = value")
    if mark.kind != "=":
        raise unexpected(mark, lines, '"=" and a value')
    return expression(text, statement[2:], lines)


def _problem(error: ParseError, name: str = "") -> Problem:
    code = Code.NOT_CHECKED if isinstance(error, Unread) else Code.VARIABLE_FILE
    return Problem(error.place, name, code, error.what, error.fix)
