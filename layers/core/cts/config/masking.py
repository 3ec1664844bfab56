"""Credentials in addresses."""

import re

from cts.config.secrets import SECRET_NAME

MASK = "***"
MAY_BE_SECRET = re.compile(
    r"token|pass|pwd|secret|credential|private|signature|key\b|\bsig\b", re.IGNORECASE
)
"""Wider than the names that count as secrets: it costs only the sight of a line."""
USER = re.compile(r"""([^\s"'/?#@:]*)(:(?:[^\s"'/]*|[^\s"'@]*))?@""")
"""Of a URL, behind its scheme: the name, and a password."""
ARGUMENT = re.compile(r"""([?&])([^=&?\s"']+)=([^&\s"']+)""")
"""Of a URL."""


def masked(text: str) -> str:
    """Without the credentials in URLs, such as the address of a module."""
    parts = text.split("://")
    for number in range(1, len(parts)):
        parts[number] = _without_user(parts[number], is_ssh=parts[number - 1].endswith("ssh"))
    return ARGUMENT.sub(_masked_argument, "://".join(parts))


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
