"""Variables: a file of them, as Terraform's `.tfvars`, or one expression; as JSON values."""

from dataclasses import replace
from typing import Any

from cts.config.hcl2.nodes import Node, evaluated
from cts.config.hcl2.parser import Parser
from cts.config.hcl2.tokens import Token, statements, tokens
from cts.config.hcl2.values import Budget
from cts.config.problem import Code, Place, Problem
from cts.config.read import decoded
from cts.config.tree import BOM, Lines, ParseError

MOST_PROBLEMS = 50
"""Reported of one file: what has more is hardly a variable file."""
NOT_CONSTANT = "this text is no expression that has a value by itself"
QUOTES = 'write a text with quotes of its own, as "\\"text\\"", and a number or a list without'


def read_variables(content: bytes, file: str) -> tuple[dict[str, Any], list[Problem]]:
    """The file's variables, and all that is wrong with it."""
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
                raise ParseError(place, "this variable is set twice", "remove one")
            node = _attribute(statement, lines)
            variables[name] = evaluated(node, budget)
        except ParseError as error:
            problems.append(_problem(error, name))
        if len(problems) == MOST_PROBLEMS or budget.is_spent:
            break
    return variables, problems


def read_expression(text: str, place: Place, path: str) -> tuple[Any, list[Problem]]:
    """The value of an expression that the configuration holds as a text at that place.

    What is wrong with it is not said in detail: a text that lacks its quotes may be a secret.
    """
    lines = Lines(text, place.file)
    try:
        parser = Parser(tokens(text, lines), lines, skips_lines=True)
        node = parser.expression()
        parser.expect("end", "nothing more")
        return evaluated(node, Budget(text)), []
    except ParseError:
        return None, [Problem(place, path, Code.VARIABLE_FILE, NOT_CONSTANT, QUOTES)]


def _name(statement: list[Token]) -> str:
    """The variable's name; a word alone may be a value that stands on a line of its own."""
    name, mark = statement[:2]
    return name.text if name.kind == "name" and mark.kind in ("=", "{") else ""


def _attribute(statement: list[Token], lines: Lines) -> Node:
    """The value in `name = value`. Raises ParseError if the statement is something else."""
    name = statement[0]
    place = lines.place(name.at)
    if name.kind in ("{", "["):
        raise ParseError(place, "this looks like JSON", "write name = value")
    if name.kind == "quote":
        raise ParseError(place, "the name of a variable has no quotes", "write name = value")
    parser = Parser(statement, lines)
    parser.expect("name", "the name of a variable")
    if parser.token.kind in ("{", "quote", "name") and statement[-2].kind == "}":
        raise ParseError(place, "a block is not allowed here", "write name = value")
    parser.expect("=", '"=" and a value')
    value = parser.expression()
    parser.expect("end", "the end of the line: a text has quotes, a variable lines of its own")
    return value


def _problem(error: ParseError, name: str = "") -> Problem:
    return Problem(error.place, name, Code.VARIABLE_FILE, error.what, error.fix)
