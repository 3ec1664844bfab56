"""Parts of an answer of Consul, checked for their type. Each raises ValueError for what no Consul
answers."""

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def as_type(kind: type[T], value: Any, what: str) -> T:
    """Consul leaves out what is empty, or says null."""
    if value is None:
        return kind()
    if type(value) is not kind:  # True is an int, too
        raise ValueError(f"{what} is of type {type(value).__name__}, not {kind.__name__}")
    return value


def needed_text(part: Mapping[str, Any], name: str) -> str:
    if name not in part:
        raise ValueError(f"{name} is missing")
    return text_of(part, name)


def text_of(part: Mapping[str, Any], name: str) -> str:
    return as_type(str, part.get(name), name)


def texts_of(part: Mapping[str, Any], name: str) -> dict[str, str]:
    found: dict[str, Any] = as_type(dict, part.get(name), name)
    return {key: as_type(str, value, name) for key, value in found.items()}
