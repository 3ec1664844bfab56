"""What may stand on a screen: no credentials, and nothing that a terminal would act on."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cts.config.secrets import PRIVATE_KEY, SECRET_NAME

UNPRINTABLE = "�"
MASK = "***"
MAY_BE_SECRET = re.compile(r"token|pass|pwd|secret|credential|private|key\b", re.IGNORECASE)
"""Wider than the names that count as secrets: it costs only the sight of a line."""
WORD = re.compile(r"[\w-]+")
USER = re.compile(r"""([^\s"'/?#@:]*)(:(?:[^\s"'/]*|[^\s"'@]*))?@""")
"""Of a URL, behind its scheme: the name, and a password."""
ARGUMENT = re.compile(r"""([?&])([^=&?\s"']+)=([^&\s"']+)""")
"""Of a URL."""


def shown(text: str) -> str:
    return printable(masked(text))


def printable(text: str) -> str:
    """A terminal would act on other characters, or give them a width of its own."""
    return "".join(each if each.isprintable() else UNPRINTABLE for each in text)


def masked(text: str) -> str:
    """Without the credentials in URLs, such as the address of a module."""
    parts = text.split("://")
    for number in range(1, len(parts)):
        parts[number] = _without_user(parts[number], is_ssh=parts[number - 1].endswith("ssh"))
    return ARGUMENT.sub(_masked_argument, "://".join(parts))


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A value like JSON's, with every text in it changed."""
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(key): each_text(each, change) for key, each in value.items()}
        case list() | tuple():
            return [each_text(each, change) for each in value]
    return value


def may_hold_secret(line: str) -> bool:
    """Whether a line of a file is one to hide, though nobody knows of a secret in it."""
    if MAY_BE_SECRET.search(line) or PRIVATE_KEY.search(line) or masked(line) != line:
        return True
    return any(SECRET_NAME.search(word) for word in WORD.findall(line))


def _without_user(rest: str, *, is_ssh: bool) -> str:
    """`rest`: of a URL, behind its scheme."""
    found = USER.match(rest)
    if not found:
        return rest
    user, password = found.groups()
    if password is not None:
        return f"{user}:{MASK}@{rest[found.end() :]}"
    # A user alone may be a token, but for SSH it is only a name.
    is_name = not user or user == "git" or is_ssh
    return rest if is_name else f"{MASK}@{rest[found.end() :]}"


def _masked_argument(found: re.Match[str]) -> str:
    sign, name, value = found.groups()
    is_secret = MAY_BE_SECRET.search(name) or SECRET_NAME.search(name)
    return f"{sign}{name}={MASK if is_secret else value}"
