"""References to secrets: which texts the build replaces with what they refer to."""

from collections.abc import Callable, Mapping
from typing import Any

from cts.build.references import RESOLVED, TEMPLATE


def is_reference(text: str) -> bool:
    """Whether a text is a reference, or has one in it."""
    return "{{" in text and bool(RESOLVED.search(text) or TEMPLATE.search(text))


def has_reference(value: Any) -> bool:
    """Whether there is a reference anywhere in a JSON value."""
    return _any(value, is_reference)


def has_resolved(value: Any) -> bool:
    """Whether there is one that a variable of a module may have, where templates are only text."""
    return _any(value, RESOLVED.search)


def _any(value: Any, is_meant: Callable[[str], object]) -> bool:
    match value:
        case str():
            return bool(is_meant(value))
        case Mapping():
            return any(_any(each, is_meant) for each in value.values())
        case list() | tuple():
            return any(_any(each, is_meant) for each in value)
    return False
