"""References to secrets: which texts the build replaces with what they refer to."""

import re
from collections.abc import Callable, Mapping
from typing import Any


def _template(function: str) -> re.Pattern[str]:
    """A line's first opening is tried alone: what closes a later one closes it, too. To try each
    would take quadratic time."""
    opening = rf'\{{\{{[ \t\r\n]*(?:{function})[ \t\r\n]+"'
    return re.compile(rf'^(?>[^\n]*?{opening})[^\n]+"[ \t\r\n]*\}}\}}', re.MULTILINE)


TEMPLATE = _template(r"env|key|with[ \t\r\n]+secret")
"""What CTS evaluates in a provider's arguments; any other text in braces is only text."""
VAULT = _template(r"with[ \t\r\n]+secret")
RESOLVED = re.compile(r"\{\{resolve:(?:secretsmanager|ssm|ssm-secure):[^{}\s]+\}\}")
"""A secret or a parameter of AWS, written as in CloudFormation. It may be in any value."""


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
