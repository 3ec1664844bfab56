"""Conditions and module inputs as JSON."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cts.conditions.condition import Condition
from cts.conditions.registry import NOTHING, condition, room
from cts.stored import known_fields

UNNAMED = NOTHING.kind
"""The kind that is not written: it was the only one."""


def written(condition: Condition) -> dict[str, Any]:
    """Options left at their default carry no meaning: one added later leaves the digests of
    today as they are."""
    kind = {} if condition.kind == UNNAMED else {"kind": condition.kind}
    options = {
        f.name: _written(value)
        for f in fields(condition)
        if (value := getattr(condition, f.name)) != f.default
    }
    return kind | options


def _written(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_written(each) for each in value]
    return written(value) if isinstance(value, Condition) else value


def read_condition(raw: Mapping[str, Any]) -> Condition:
    """Raises ValueError for a kind that this version doesn't know."""
    name = _kind(raw)
    kind = condition(name)
    if kind is None:
        raise ValueError(f"this version of the program does not know the condition '{name}'")
    return kind(**{name: _read(value) for name, value in known_fields(kind, raw).items()})


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(each) for each in value)
    return read_condition(value) if isinstance(value, Mapping) else value


def read_input(raw: Mapping[str, Any]) -> Condition:
    made = read_condition(raw)
    if room(made.kind).input is None:
        raise ValueError(f"a module input can't be of the kind '{made.kind}'")
    return made


def is_known(raw: Mapping[str, Any]) -> bool:
    """Whether this version knows the condition, and those in it."""
    inner = [each for value in raw.values() if isinstance(value, list | tuple) for each in value]
    return condition(_kind(raw)) is not None and all(
        is_known(each) for each in inner if isinstance(each, Mapping)
    )


def _kind(raw: Mapping[str, Any]) -> str:
    return str(raw.get("kind", UNNAMED))
