"""Describes the options that the model consists of."""

from collections.abc import Hashable, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, NewType, get_args, get_type_hints

from cts.config.rules.problem import Where

Seconds = NewType("Seconds", float)
"""A duration, written as Go writes it."""
Values = NewType("Values", Mapping[str, Any])
"""Names and plain values, as JSON has them."""
Variables = NewType("Variables", Mapping[str, str])
"""Environment variables."""


class Group(StrEnum):
    """The readers of a secret: each group is one secret of the stack, with its own policy."""

    CONNECTION = "connection"
    """What reaches Consul: the poller and the builds."""
    HCP = "hcp"
    TASK = "task"
    """What a task's Terraform gets: the builds."""


@dataclass(frozen=True, slots=True)
class Option:
    """What describes an option besides its type."""

    default: Any = None
    key: str = ""
    """The option's name where it is not a valid name in Python."""
    required: str = ""
    """What to write if it is left out."""
    unused: str = ""
    """Why it is not needed here."""
    instead: str = ""
    """What to write instead of a deprecated option."""
    successor: str = ""
    """The option that counts if both are written."""
    secret: Group | None = None
    name: str = ""
    """The secret's name, as the environment variable that CTS would read."""
    is_file: bool = False
    verbatim: bool = False
    """CTS takes template syntax for text here."""
    templates: bool = False
    """Builds look up what templates refer to here."""
    resolved: bool = False
    """Builds only look up references to secrets and parameters of AWS here."""


def option(default: Any = None, **known: Any) -> Any:
    return field(default=None, metadata={"option": Option(default, **known)})


def block(**known: Any) -> Any:
    """A block that may stand several times."""
    return field(default=(), metadata={"option": Option((), **known)})


def about(of: "Field[Any]") -> Option:
    """What is known of a field."""
    known: Option = of.metadata["option"]
    return known


def key_of(of: "Field[Any]") -> str:
    return about(of).key or of.name


@cache
def types_of(block_type: Hashable) -> Mapping[str, Any]:
    """The types of a block's fields, without the None of what is not there."""
    return {name: _without_none(hint) for name, hint in get_type_hints(block_type).items()}


def _without_none(hint: Any) -> Any:
    if NoneType not in get_args(hint):
        return hint
    kinds = tuple(each for each in get_args(hint) if each is not NoneType)
    return kinds[0] if len(kinds) == 1 else kinds


def options_of(block: Any) -> "tuple[Field[Any], ...]":
    """The fields of a block, or of a kind of block, that are options."""
    return _options(block if isinstance(block, type) else type(block))


@cache
def _options(block_type: Any) -> "tuple[Field[Any], ...]":
    return tuple(each for each in fields(block_type) if "option" in each.metadata)


def where_of(value: Any) -> Where | None:
    """Where a block stands; None for any other value."""
    where: Where | None = getattr(value, "where", None)
    return where


def walk(block: Any, *, unused: bool = True) -> list[tuple[Any, str, Option, Any]]:
    """Each option of a block and of the blocks in it: the block, the key, what is known of the
    option, its value. Without `unused` blocks that are not needed here are left out."""
    found = list[tuple[Any, str, Option, Any]]()
    _walk(block, unused, found)
    return found


def _walk(block: Any, unused: bool, found: list[tuple[Any, str, Option, Any]]) -> None:
    for name, key, known in known_options(block):
        value = getattr(block, name)
        found.append((block, key, known, value))
        if not value or isinstance(value, str) or (known.unused and not unused):
            continue
        for inner in value if isinstance(value, tuple) else (value,):
            if where_of(inner):
                _walk(inner, unused, found)


def known_options(block: Any) -> tuple[tuple[str, str, Option], ...]:
    """The name, the key, and what is known of each option of a block, or of a kind of block."""
    return _known(block if isinstance(block, type) else type(block))


@cache
def _known(block_type: Any) -> tuple[tuple[str, str, Option], ...]:
    """As `known_options`, of a kind of block: each rule walks all of them."""
    return tuple((each.name, key_of(each), about(each)) for each in _options(block_type))
