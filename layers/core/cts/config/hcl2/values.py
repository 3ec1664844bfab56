"""The values of constant expressions, and how Terraform converts one type to another."""

import re
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Subnormal
from typing import Any, TypeAlias

Constant: TypeAlias = "bool | str | Decimal | list[Constant] | dict[str, Constant] | None"

NUMBERS = Context(
    prec=170, Emin=-300, Emax=300, traps=[InvalidOperation, DivisionByZero, Overflow, Subnormal]
)
"""More digits than Terraform's 512 bits. Few JSON readers support larger or smaller numbers."""
ROUNDED = Context(prec=150)
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
STEPS = 100_000
LETTERS_A_STEP = 64
BOOLS = {"true": True, "1": True, "false": False, "0": False}


class TooMuchWork(Exception):
    """An expression, however short, takes too much work to evaluate."""


class Budget:
    """The steps that evaluating a text may take: a fixed number, and one for each character."""

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
    """The type of a value, for a message. Never the value itself, which may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case Decimal():
            return "a number"
        case list():
            return "a list"
    return "a map"


def as_number(value: Constant) -> Decimal | None:
    """None if it can't be converted. Raises ArithmeticError if it is too large or too small."""
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
    """Rounded to the significant digits, so that three times a third is one."""
    return ROUNDED.plus(number)


def same(one: Constant, other: Constant, budget: Budget) -> bool:
    """Equality as in `==`: nothing is converted. Costs as many steps as there is to look at."""
    budget.spend()
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same(a, b, budget) for a, b in pairs)
    if isinstance(one, dict) and isinstance(other, dict):
        budget.spend(len(one))
        return one.keys() == other.keys() and all(same(one[k], other[k], budget) for k in one)
    if isinstance(one, str) and isinstance(other, str):
        budget.spend(len(one) // LETTERS_A_STEP)
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return rounded(one) == rounded(other)
    return type(one) is type(other) and one == other


def plain(value: Constant, budget: Budget) -> Any:
    """The value as in JSON. Fractions are rounded to floating-point numbers."""
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
