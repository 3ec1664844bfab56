"""Credentials in addresses."""

import re

MASK = "***"
SECRET = re.compile(
    r"""token | secret | credential | passw | passphrase | passcode | private | signature | conn_str
      | connection[_-]?string
      | (?:access|account|api|app|auth|client|customer|encryption|hmac|license|master|service|shared
           |signing|ssh|subscription)keys?(?![a-z])
      | (?<![a-z])(?:auth|authorization|code|cookie|dsn|jwt|keys?|pass|pat|pin|psk|pwd|sas|sig)
        (?![a-z])""",
    re.IGNORECASE | re.VERBOSE,
)
"""In the name of a URL's argument, only as a whole word: other words may contain it."""
NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
PLAIN_USERS = ("", "git", "oauth2", "token", "x-access-token", "x-token-auth")
USER = re.compile(r"""([^\s"'/?#@:\[]*)(:(?!\d{1,5}/)(?:[^\s"'/]*|[^\s"'@]*))?@""")
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
    """`rest`: of a URL, behind its scheme. A user may be a token, but not for SSH."""
    found = USER.match(rest)
    if not found:
        return rest
    user, password = found.groups()
    shown = user if is_ssh or user in PLAIN_USERS else MASK
    hidden = f":{MASK}" if password is not None else ""
    return f"{shown}{hidden}@{rest[found.end() :]}"


def _masked_argument(found: re.Match[str]) -> str:
    sign, name, value = found.groups()
    is_secret = SECRET.search(NEW_WORD.sub("_", name))
    return f"{sign}{name}={MASK if is_secret else value}"
