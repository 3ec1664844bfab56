"""Secrets in a text that is shown or kept: they are replaced by asterisks."""

import re
from collections.abc import Iterator
from functools import lru_cache
from os.path import commonprefix

MASK = "***"
SURE = r"""passw | passphrase | passcode | secret | token(?!i[sz]) | credential | conn_str
  | connection[_-]?string
  | (?:access|account|api|app|auth|client|customer|encryption|hmac|license|master|private|service
       |shared|signing|ssh|subscription)[_-]?keys?$
  | (?:^|[_-])(?:authorization|community|cookie|dsn|jwt|otp|pat|psk|pw|pwd|sas)$"""
SECRET_NAME = re.compile(rf"{SURE} | (?:^|[_-])(?:auth|pass|pin)$", re.IGNORECASE | re.VERBOSE)
"""The name of an option or variable whose value is secret: the same everywhere."""
NO_SECRET = re.compile(
    r"""(?:^|[_-])(?:algorithm|age|arn|audience|backend|bits|capacity|challenge|count|days|duration
                    |enabled|endpoint|engine|expiration|expires?(?:_in)?|expiry|fields?|files?
                    |format|header|hours|ids?|interval|issuer|labels?|lease|length|lifetime|limit
                    |(?:secrets?)?manager|mechanism|method|minutes|mode|mount|names?|namespace
                    |paths?|period|policy|port|prefix|process|profile|provider|refs?|region|retries
                    |scopes?|seconds|size|source|store|suffix|timeout|ttl|type|ur[il]s?|version)$
      | ^(?:allow|disable|enable|max|min|require|rotate|skip|use)[_-]
      | ^(?:next|page|next_page)_?token$""",
    re.IGNORECASE | re.VERBOSE,
)
SECRET_ID = re.compile(r"(?:^|[_-])secret[_-]id$", re.IGNORECASE)
REGISTRY_TOKEN = re.compile("TF_TOKEN_")
"""Begins the name of Terraform's variable for a registry; a host may end with any word."""
ID_IN_URL = re.compile(r"(?:secret|access[_-]?key)[_-]?id$", re.IGNORECASE)
IN_URL = re.compile(rf"{SURE} | (?:^|[_-])(?:sig|signature)$", re.IGNORECASE | re.VERBOSE)
"""In the name of a URL's argument."""
SHORT = re.compile(r"(?:^|[_-])(?:auth|code|keys?|pass|pin)$", re.IGNORECASE)
"""In a URL these may mean anything: it depends on the value, too."""
WITH_DIGIT = re.compile(r"(?=[^0-9]{0,200}[0-9]).{8}")
NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
PLAIN_USERS = ("", "git", "oauth2", "token", "x-access-token", "x-token-auth")
TOKEN_USER = r"(?=[^\s:@/]{0,200}[0-9])[\w.-]{16,200}"
"""A user that is alone in a URL is a token only if it looks like one."""
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
PAIR = re.compile(
    r"(?<!\w)(?:password|passwd|pwd|account_?key|shared_?access_?key)=([^\s;,\"]+)"
    r"|\b(?:authorization: ?|bearer )(?:\w{1,9} )?((?=[A-Za-z_.~+/-]{0,99}[0-9])[\w.~+/-]{8,})"
    r"|\bbasic ([A-Za-z0-9+/]{8,200}==?)",
    re.IGNORECASE,
)
"""In a connection string or a header."""
KEY_HEADER = "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
"""Of a private key, in PEM or OpenPGP."""
ARMOR = "(?:Charset|Comment|DEK-Info|Hash|MessageID|Proc-Type|Version): "
INDENT = r"(?:\d{1,9}:[ \t]*)?(?:[+~-][ \t]*)?"
"""Of a line in source code or in a plan, behind blanks."""
KEY = re.compile(
    rf"({KEY_HEADER})(?:\\+[rn]|[\s│|])*{INDENT}(?:{ARMOR}|[A-Za-z0-9+/]{{16}})"
    r"(?:.*?(?=-----END )|.*)",
    re.DOTALL,
)
"""A private key, from its first line to its last, or to the end of the text."""
KEY_BEGINS = re.compile(rf"{KEY_HEADER}\s*$")
KEY_BLANK = re.compile(rf"[ \t│|]*{INDENT}\r?\n?")
KEY_FIRST = re.compile(
    rf"[ \t│|]*{INDENT}(?:{ARMOR}[^\n]*|[A-Za-z0-9+/]{{16,}}={{0,2}}[ \t]*)\r?\n?"
)
KEY_GOES_ON = re.compile(rf"[ \t│|]*{INDENT}(?:{ARMOR}[^\n]*|[\w+/=-]*[ \t]*)\r?\n?")
OF_PROGRAM = re.compile(r"[^\n]{1,500}? \([a-z]+-exec\): ")
"""What Terraform puts before each line that a module's program prints."""
SOURCE_LINE = re.compile(r"^[│ \t]*[0-9]+:[^\n]*", re.MULTILINE)
"""A line of a file, as Terraform shows it in an error."""
ASSIGNED = re.compile(r'(?<![\w.-])([\w.-]+)"?[ \t]*[=:][ \t]*')
LIST = re.compile(r'\[(?:[^\]"\n]|"(?:[^"\\\n]|\\.)*")*')
VALUE = re.compile(
    r"""("(?:[^"\\\n]|\\.)+") | (?=[A-Za-z_+/-]{0,99}[0-9])[^\s"'.,;()\[\]{}]{6,}""", re.VERBOSE
)
"""A text in quotes, or a word with a digit."""


def masked(text: str) -> str:
    """Without the credentials in URLs, such as the address of a module, and in headers, without
    private keys and known kinds of tokens."""
    parts = text.split("://")
    for number in range(1, len(parts)):
        parts[number] = _without_user(parts[number], is_ssh=parts[number - 1].endswith("ssh"))
    text = TOKEN.sub(MASK, masked_arguments("://".join(parts)))
    text = KEY.sub(rf"\1{MASK}", PAIR.sub(_masked_pair, text))
    return SOURCE_LINE.sub(_masked_source, text)


def masked_arguments(text: str) -> str:
    """Without the secrets in the arguments of URLs."""
    return ARGUMENT.sub(_masked_argument, text)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    name = NEW_WORD.sub("_", name)
    if REGISTRY_TOKEN.match(name):
        return True
    return bool((SECRET_ID if NO_SECRET.search(name) else SECRET_NAME).search(name))


def is_secret_argument(name: str, value: str) -> bool:
    """Of a URL."""
    name = NEW_WORD.sub("_", name)
    if NO_SECRET.search(name):
        return bool(ID_IN_URL.search(name))
    return bool(IN_URL.search(name) or (SHORT.search(name) and WITH_DIGIT.match(value)))


def secret_values(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """What names of secrets are given in source code: the name, and each value."""
    at = 0
    while found := ASSIGNED.search(text, at):
        at = found.end()
        if is_secret_name(found[1]) and (values := LIST.match(text, at) or VALUE.match(text, at)):
            for value in VALUE.finditer(text, at, values.end()):
                yield found[1], value
            at = values.end()


class LineMask:
    """Masks a text that comes in lines: a private key takes several, and lines of other programs
    may come between them."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}

    def __call__(self, line: str) -> str:
        program = OF_PROGRAM.match(line)
        name = program.group() if program else ""
        key = self._keys.pop(name, None)
        if key:
            shown = key.shown(line)
            if shown is not None:
                self._keys[name] = key
                return shown
        if begins := KEY_BEGINS.search(line):
            self._keys[name] = _Key(line[: begins.start()])
        return masked(line)


class _Key:
    """A private key, or a sentence that ends like the first line of one. `before`: the text before
    its first line, which stands before the next ones, too."""

    def __init__(self, before: str) -> None:
        self.before = before
        self.is_sure = False
        self.is_blank = False
        """The second line is empty."""

    def shown(self, line: str) -> str | None:
        """A line, as far as it is shown. None if it is not of the key."""
        same = commonprefix([self.before, line])  # noqa: RUF071 (of texts)
        rest = line[len(same) :]
        if self.is_sure:
            return "" if KEY_GOES_ON.fullmatch(rest) else None
        if KEY_FIRST.fullmatch(rest):
            self.is_sure = True
            return f"{same}{MASK}\n"
        if self.is_blank or not KEY_BLANK.fullmatch(rest):
            return None
        self.is_blank = True
        return line


def _masked_source(line: re.Match[str]) -> str:
    parts, at = list[str](), 0
    for _, value in secret_values(line.group()):
        parts += [line.group()[at : value.start()], f'"{MASK}"' if value[1] else MASK]
        at = value.end()
    return "".join([*parts, line.group()[at:]])


def _masked_pair(found: re.Match[str]) -> str:
    name = found.group()[: found.start(found.lastindex or 0) - found.start()]
    return f"{name}{MASK}"


def _without_user(rest: str, *, is_ssh: bool) -> str:
    """`rest`: of a URL, behind its scheme. A user may be a token, but not for SSH."""
    found = USER.match(rest)
    if not found:
        return rest
    user, password = found.groups()
    is_plain = password is None and not re.fullmatch(TOKEN_USER, user)
    shown = user if is_ssh or is_plain or user in PLAIN_USERS else MASK
    hidden = f":{MASK}" if password is not None else ""
    return f"{shown}{hidden}@{rest[found.end() :]}"


def _masked_argument(found: re.Match[str]) -> str:
    sign, name, value = found.groups()
    return f"{sign}{name}={MASK if is_secret_argument(name, value) else value}"
