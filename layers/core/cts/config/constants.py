"""The values of constant expressions: how one kind is taken for another, as Terraform does it."""

import re
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Subnormal
from typing import Any, TypeAlias

Constant: TypeAlias = "bool | str | Decimal | list[Constant] | dict[str, Constant] | None"

NUMBERS = Context(
    prec=170, Emin=-300, Emax=300, traps=[InvalidOperation, DivisionByZero, Overflow, Subnormal]
)
"""More digits than Terraform's 512 bits have; larger and smaller numbers few readers of JSON know.
"""
ROUNDED = Context(prec=150)
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
STEPS = 100_000
BOOLS = {"true": True, "1": True, "false": False, "0": False}


class TooMuchWork(Exception):
    """A short expression can ask for any amount of work."""


class Budget:
    """The steps that evaluating a text's expressions may take, beside those for what it says."""

    def __init__(self, text: str) -> None:
        self.left = STEPS + len(text)

    @property
    def is_spent(self) -> bool:
        return self.left < 0

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.is_spent:
            raise TooMuchWork


def described(value: Constant) -> str:
    """What a value is, for a message; never the value itself, which may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case Decimal():
            return "a number"
        case list():
            return "a list"
    return "a map"


def as_number(value: Constant) -> Decimal | None:
    """None if it can't be one. Raises ArithmeticError if it is too large or too small."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return NUMBERS.create_decimal(value)
    return value if isinstance(value, Decimal) else None


def as_bool(value: Constant) -> bool | None:
    if isinstance(value, str):
        return BOOLS.get(value)
    return value if isinstance(value, bool) else None


def as_text(value: Constant) -> str | None:
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value.normalize(ROUNDED):f}"
    return value if isinstance(value, str) else None


def rounded(number: Decimal) -> Decimal:
    """To the digits that count: a third, three times, is one."""
    return ROUNDED.plus(number)


def same(one: Constant, other: Constant, budget: Budget) -> bool:
    """Equality as of `==`: nothing is converted."""
    budget.spend()
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same(a, b, budget) for a, b in pairs)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k], budget) for k in one)
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return rounded(one) == rounded(other)
    return type(one) is type(other) and one == other


def alike(values: Sequence[Constant], budget: Budget) -> list[Constant] | None:
    """The values as one kind, which both sides of a condition must share; None if they can't be.
    Null is of every kind."""
    budget.spend(4 * len(values))
    kinds = {type(value) for value in values if value is not None}
    if kinds in ({list}, {dict}):
        return _alike_inside(values, budget)
    if len(kinds) < 2:
        return list(values)
    if kinds <= {str, bool, Decimal} and str in kinds:
        return [as_text(value) for value in values]
    return None


def _alike_inside(values: Sequence[Constant], budget: Budget) -> list[Constant] | None:
    """Lists or maps: item by item if all have the same keys, otherwise all items of one kind."""
    tables = [table for value in values if (table := _table(value)) is not None]
    cells = [(table, key) for table in tables for key in table]
    groups = [cells]
    if all(table.keys() == tables[0].keys() for table in tables):
        groups = [[(table, key) for table in tables] for key in tables[0]]
    for group in groups:
        converted = alike([table[key] for table, key in group], budget)
        if converted is None:
            return None
        for (table, key), item in zip(group, converted, strict=True):
            table[key] = item
    made = iter(tables)
    return [_like(value, made) for value in values]


def _table(value: Constant) -> dict[Any, Constant] | None:
    """A copy of a map, or of a list with its positions as keys."""
    if isinstance(value, list):
        return dict(enumerate(value))
    return {**value} if isinstance(value, dict) else None


def _like(value: Constant, tables: Iterator[dict[Any, Constant]]) -> Constant:
    if value is None:
        return None
    table = next(tables)
    return list(table.values()) if isinstance(value, list) else table


def plain(value: Constant, budget: Budget) -> Any:
    """The value as JSON has it. Fractions are the nearest that JSON's readers can hold."""
    budget.spend()
    match value:
        case Decimal():
            number = rounded(value)
            return int(number) if number == number.to_integral_value() else float(number)
        case list():
            return [plain(item, budget) for item in value]
        case dict():
            return {key: plain(item, budget) for key, item in value.items()}
    return value
