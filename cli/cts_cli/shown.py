"""Make text safe to print: no credentials, and nothing that a terminal would act on."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import category

from cts.build.masking import SECRET_NAME, masked
from cts.config.secrets import PRIVATE_KEY

MAY_BE_SECRET = re.compile(
    r"token|pass|pwd|secret|credential|private|signature|key\b|\bsig\b", re.IGNORECASE
)
"""In a line. Wider than the names that count as secrets: it costs only the sight of a line."""
LINES = "\n\t"
"""What a text of several lines may keep."""
WORD = re.compile(r"[\w-]+")


def shown(text: str) -> str:
    return printable(masked(text))


def printable(text: str, kept: str = "") -> str:
    """Show as an escape, such as `\\x1b`, each character that a terminal would act on or hide:
    control characters, formatting such as a change of direction, line ends. `kept`: those to
    leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(each if each in kept or _is_seen(each) else _escape(each) for each in text)


def _is_seen(character: str) -> bool:
    return character.isprintable() or category(character) == "Zs"  # a space of any width


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON-like value with `change` applied to every string in it."""
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(key): each_text(each, change) for key, each in value.items()}
        case list() | tuple():
            return [each_text(each, change) for each in value]
    return value


def may_hold_secret(line: str) -> bool:
    """Whether to hide a line of a file although no secret was detected in it."""
    if MAY_BE_SECRET.search(line) or PRIVATE_KEY.search(line) or masked(line) != line:
        return True
    return any(SECRET_NAME.search(word) for word in WORD.findall(line))
