"""Secrets in a text that is shown or kept: they are replaced by asterisks."""

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
ARGUMENT = re.compile(r"""([?&#]|\\u0026)([^=&?#\s"'\\]+)=((?:(?!\\u0026)[^&\s"'])+)""")
"""Of a URL. Some JSON has `\\u0026` for `&`."""
TOKEN = re.compile(
    r"""(?<![\w-])
      (?: gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,} | npm_[A-Za-z0-9]{30,}
        | hv[bsr]\.[\w-]{20,} | [A-Za-z0-9]{14}\.atlasv1\.[\w-]{20,} | xox[abeoprs]-[\w-]{10,}
        | AIza[\w-]{30,} | sk_live_\w{16,} | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,} )""",
    re.VERBOSE,
)
"""Tokens that can be told by their form."""
KEY = re.compile(
    r"""(-----BEGIN\ [A-Z0-9 ]{0,40}PRIVATE\ KEY-----)
      (?:\\+r)?(?:\\+n|\r?\n)[ \t│|]*(?:[+~-][ \t]*)?[\w+/](?:.*?(?=-----END\ )|.*)""",
    re.DOTALL | re.VERBOSE,
)
"""A private key, from its first line to its last, or to the end of the text."""
KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----\s*$")
KEY_GOES_ON = re.compile(r"[ \t│|]*(?:[+~-][ \t]*)?(?:[\w-]+: [^\n]*|[\w+/=.,-]*)\r?\n?")
SOURCE_LINE = re.compile(r"^[│ \t]*[0-9]+:[^\n]*", re.MULTILINE)
"""A line of a file, as Terraform shows it in an error."""
ASSIGNED = re.compile(
    r"""(?<![\w.-])([\w.-]+)("?[ \t]*[=:][ \t]*(?:\[[ \t]*)?)
        ("(?:[^"\\\n]|\\.)+ | (?=[A-Za-z_+/-]{0,99}[0-9])[^\s"'.,;()\[\]{}]{6,})""",
    re.VERBOSE,
)
"""A name, and a text in quotes or a word with a digit."""

OPTION = re.compile(
    r"""(?: passw | passphrase | passcode | secret | token | credential
          | (?:access|account|api|auth|client|encryption|private|shared|signing|ssh)[_-]?keys?$
          | (?:^|[_-])(?:auth|authorization|cookie|dsn|jwt|otp|pass|pat|pin|psk|pw|pwd|sas)$ )
        (?!.*[_-](?:arn|file|id|name|path|type|url)$)""",
    re.IGNORECASE | re.VERBOSE,
)
"""The name of an option whose value is secret."""


def masked(text: str) -> str:
    """Without the credentials in URLs, such as the address of a module, without private keys and
    known kinds of tokens."""
    parts = text.split("://")
    for number in range(1, len(parts)):
        parts[number] = _without_user(parts[number], is_ssh=parts[number - 1].endswith("ssh"))
    text = KEY.sub(rf"\1{MASK}", TOKEN.sub(MASK, masked_arguments("://".join(parts))))
    return SOURCE_LINE.sub(_masked_source, text)


def masked_arguments(text: str) -> str:
    """Without the secrets in the arguments of URLs."""
    return ARGUMENT.sub(_masked_argument, text)


class LineMask:
    """Masks a text that comes in lines: a private key takes several."""

    def __init__(self) -> None:
        self._in_key = False

    def __call__(self, line: str) -> str:
        is_end = "-----END " in line
        if self._in_key and not is_end and KEY_GOES_ON.fullmatch(line):
            return ""
        self._in_key = bool(KEY_BEGINS.search(line))
        return masked(line)


def _masked_source(line: re.Match[str]) -> str:
    return ASSIGNED.sub(_masked_value, line.group())


def _masked_value(found: re.Match[str]) -> str:
    name, sign, value = found.groups()
    quote = '"' if value.startswith('"') else ""
    is_secret = OPTION.search(NEW_WORD.sub("_", name))
    return f"{name}{sign}{quote + MASK if is_secret else value}"


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
