"""Constant expressions of HCL 2, evaluated as Terraform evaluates them."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from cts.config.hcl2.values import (
    LETTERS_A_STEP,
    NUMBERS,
    Budget,
    Constant,
    TooMuchWork,
    as_bool,
    as_number,
    as_text,
    described,
    plain,
    rounded,
    same,
)
from cts.config.rules.problem import Place
from cts.config.text.tree import ParseError, too_deep

ARITHMETIC = {
    "+": NUMBERS.add,
    "-": NUMBERS.subtract,
    "*": NUMBERS.multiply,
    "/": NUMBERS.divide,
    "%": NUMBERS.remainder,
}
COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Unread(ParseError):
    """Something that can't be read or evaluated here, but perhaps by Terraform."""


class Node(Protocol):
    @property
    def place(self) -> Place: ...

    def evaluate(self, scope: "Scope") -> Constant:
        """Raises ParseError if there is no value, with the place of the cause."""


def evaluated(node: Node, budget: Budget) -> Any:
    """The value of an expression, as in JSON. Raises ParseError."""
    try:
        return plain(Scope(budget).value(node), budget)
    except (TooMuchWork, RecursionError) as error:
        kind = Unread if isinstance(error, RecursionError) else ParseError
        what = "this expression is too complex to be evaluated here"
        raise kind(node.place, what, "write its value, or simplify it") from None


@dataclass(frozen=True, slots=True)
class Scope:
    budget: Budget
    names: Mapping[str, Constant] = field(default_factory=dict)
    """The variables of the enclosing `for` expressions."""

    def inside(self, names: Mapping[str, Constant]) -> "Scope":
        return Scope(self.budget, {**self.names, **names})

    def value(self, node: Node) -> Constant:
        self.budget.spend()
        return node.evaluate(self)

    def number(self, node: Node) -> Decimal:
        value = self.value(node)
        try:
            number = as_number(value)
        except ArithmeticError:
            raise out_of_range(node.place) from None
        if number is None:
            raise ParseError(node.place, f"{described(value)} is not a number")
        return number

    def bool(self, node: Node) -> bool:
        value = self.value(node)
        if (truth := as_bool(value)) is None:
            raise ParseError(node.place, f"{described(value)} is neither true nor false")
        return truth

    def text(self, node: Node) -> str:
        value = self.value(node)
        if (text := as_text(value)) is None:
            raise ParseError(node.place, f"{described(value)} can't be converted to a string")
        self.budget.spend(len(text) // LETTERS_A_STEP)
        return text


def out_of_range(place: Place) -> Unread:
    what = "this number is too large or too small"
    return Unread(place, what, "exponents can be from -300 to 300")


def too_nested(place: Place) -> Unread:
    return Unread(place, too_deep(place).what, "use fewer levels of brackets")


@dataclass(frozen=True, slots=True)
class Literal:
    place: Place
    data: Constant

    def evaluate(self, scope: Scope) -> Constant:  # noqa: ARG002
        return self.data


@dataclass(frozen=True, slots=True)
class Name:
    place: Place
    name: str

    def evaluate(self, scope: Scope) -> Constant:
        if self.name in scope.names:
            return scope.names[self.name]
        what = "unquoted names are not allowed here, only constants"
        raise ParseError(self.place, what, "write the value itself, with strings in double quotes")


@dataclass(frozen=True, slots=True)
class Call:
    place: Place

    def evaluate(self, scope: Scope) -> Constant:  # noqa: ARG002
        what = "functions are not allowed here, only constants"
        raise ParseError(self.place, what, "write the result itself")


@dataclass(frozen=True, slots=True)
class Unary:
    place: Place
    mark: str
    operand: Node

    def evaluate(self, scope: Scope) -> Constant:
        if self.mark == "!":
            return not scope.bool(self.operand)
        return scope.number(self.operand).copy_negate()


@dataclass(frozen=True, slots=True)
class Binary:
    place: Place
    mark: str
    left: Node
    right: Node

    def evaluate(self, scope: Scope) -> Constant:
        match self.mark:
            case "==" | "!=":
                left, right = scope.value(self.left), scope.value(self.right)
                return same(left, right, scope.budget) == (self.mark == "==")
            case "&&" | "||":
                both = scope.bool(self.left), scope.bool(self.right)
                return all(both) if self.mark == "&&" else any(both)
        numbers = scope.number(self.left), scope.number(self.right)
        if self.mark in COMPARISONS:
            return COMPARISONS[self.mark](*map(rounded, numbers))
        try:
            return ARITHMETIC[self.mark](*numbers)
        except ArithmeticError:
            if self.mark in "/%" and not numbers[1]:
                raise Unread(self.place, "division by zero", "write the value itself") from None
            raise out_of_range(self.place) from None


@dataclass(frozen=True, slots=True)
class Conditional:
    """The chosen side, unchanged. Terraform would convert both sides to the same type."""

    place: Place
    condition: Node
    then: Node
    otherwise: Node

    def evaluate(self, scope: Scope) -> Constant:
        return scope.value(self.then if scope.bool(self.condition) else self.otherwise)


@dataclass(frozen=True, slots=True)
class ListOf:
    place: Place
    items: tuple[Node, ...]

    def evaluate(self, scope: Scope) -> Constant:
        return [scope.value(item) for item in self.items]


@dataclass(frozen=True, slots=True)
class MapOf:
    place: Place
    items: tuple[tuple[Node, Node], ...]

    def evaluate(self, scope: Scope) -> Constant:
        return {scope.text(key): scope.value(value) for key, value in self.items}


@dataclass(frozen=True, slots=True)
class Index:
    place: Place
    of: Node
    key: Node

    def evaluate(self, scope: Scope) -> Constant:
        value = scope.value(self.of)
        match value:
            case list():
                number = scope.number(self.key)
                if number != number.to_integral_value() or not 0 <= number < len(value):
                    what = (
                        f"there is no item with this index: the length of the list is {len(value)}"
                    )
                    raise ParseError(self.key.place, what)
                return value[int(number)]
            case dict():
                if (key := scope.text(self.key)) not in value:
                    raise ParseError(self.key.place, "there is no such key in the map")
                return value[key]
        raise ParseError(self.place, f"{described(value)} has no items")


@dataclass(frozen=True, slots=True)
class Loop:
    """`for key, value in collection`, and the `if` at its end."""

    names: tuple[str, ...]
    collection: Node
    condition: Node | None = None

    def rounds(self, scope: Scope) -> Iterator[Scope]:
        for pair in self.pairs(scope):
            scope.budget.spend()
            inside = scope.inside(dict(zip(self.names, pair[-len(self.names) :], strict=True)))
            if self.condition is None or inside.bool(self.condition):
                yield inside

    def pairs(self, scope: Scope) -> Iterator[tuple[Constant, Constant]]:
        match scope.value(self.collection):
            case list() as items:
                yield from ((Decimal(n), item) for n, item in enumerate(items))
            case dict() as items:
                yield from ((key, items[key]) for key in sorted(items))
            case value:
                what = f"`for` needs a list or a map, not {described(value)}"
                raise ParseError(self.collection.place, what)


@dataclass(frozen=True, slots=True)
class ForList:
    place: Place
    loop: Loop
    item: Node

    def evaluate(self, scope: Scope) -> Constant:
        return [inside.value(self.item) for inside in self.loop.rounds(scope)]


@dataclass(frozen=True, slots=True)
class ForMap:
    place: Place
    loop: Loop
    key: Node
    item: Node
    is_grouped: bool

    def evaluate(self, scope: Scope) -> Constant:
        groups: dict[str, list[Constant]] = {}
        for inside in self.loop.rounds(scope):
            group = groups.setdefault(inside.text(self.key), [])
            group.append(inside.value(self.item))
            if len(group) > 1 and not self.is_grouped:
                fix = 'end the value with "..." to collect all values of a key in a list'
                raise ParseError(self.key.place, "two items have the same key", fix)
        if self.is_grouped:
            return {**groups}
        return {key: group[0] for key, group in groups.items()}
