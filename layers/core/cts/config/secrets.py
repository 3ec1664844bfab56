"""What is a secret that is written out: by its name, or by what it looks like."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from cts.build.masking import NEW_WORD, TOKEN, masked_arguments
from cts.config.bundle import KEY_HEADER


def _template(function: str) -> re.Pattern[str]:
    """A line's first opening is tried alone: what closes a later one closes it, too. To try each
    would take quadratic time."""
    opening = rf'\{{\{{[ \t\r\n]*(?:{function})[ \t\r\n]+"'
    return re.compile(rf'^(?>[^\n]*?{opening})[^\n]+"[ \t\r\n]*\}}\}}', re.MULTILINE)


TEMPLATE = _template(r"env|key|with[ \t\r\n]+secret")
"""What CTS evaluates in a provider's arguments; any other text in braces is only text."""
VAULT = _template(r"with[ \t\r\n]+secret")
ACTION = re.compile(r'\{\{(?:"[^"\n]*"|[^"}]|\}(?!\}))*\}\}')
"""Anything in braces, once a text is a template."""
NOT_LITERAL = re.compile(r"-----[A-Z0-9 ]{1,60}-----|\b(?:basic|bearer|token)\b", re.IGNORECASE)
"""What may be written around a reference: the marks of a key, and the kinds of authorization."""
PRIVATE_KEY = re.compile(KEY_HEADER)
USER_IN_URL = re.compile(r"://[^/\s:@]{1,200}:[^/\s@]{1,200}@")
TOKEN_IN_URL = re.compile(r"://(?=[^/\s:@]{0,200}[0-9])[\w.-]{16,200}@")
PAIR = re.compile(
    r"(?:^|[\s;,])(?:password|passwd|pwd|account_?key|shared_?access_?key)=[^\s;,]"
    r"|\b(?:authorization: ?|bearer )(?:\w{1,9} )?(?=[A-Za-z_.~+/-]{0,99}[0-9])[\w.~+/-]{8}"
    r"|\bbasic [A-Za-z0-9+/]{8,200}==?",
    re.IGNORECASE,
)
"""In a connection string or a header."""
SECRET_NAME = re.compile(
    r"""passw(?:or)?d | passphrase | passcode | (?:^|[_-])(?:otp|pass|pat|pin|pw|pwd)$
      | secret | token | credential | conn_str | connection[_-]?string
      | (?:access|account|api|app|auth|client|customer|encryption|hmac|license|master|private
           |service|shared|signing|ssh|subscription)[_-]?keys?$
      | (?:^|[_-])(?:auth|authorization|community|cookie|dsn|jwt|psk|sas)$""",
    re.IGNORECASE | re.VERBOSE,
)
NO_SECRET = re.compile(
    r"""(?:^|[_-])(?:algorithm|age|arn|bits|capacity|count|days|duration|enabled|endpoint|engine
                    |expiration|expiry|files?|format|header|hours|ids?|interval|issuer|length
                    |lifetime|limit|mechanism|method|minutes|mode|names?|namespace|paths?|period
                    |policy|port|prefix|process|provider|refs?|region|retries|scopes?|seconds|size
                    |source|store|suffix|timeout|ttl|type|ur[il]s?|version)$
      | ^(?:allow|disable|enable|max|min|require|rotate|skip|use)[_-]""",
    re.IGNORECASE | re.VERBOSE,
)
PLAIN_SECRETS = ("password", "secret", "token", "apikey", "passphrase", "credentials")
SECRET_ID = re.compile(r"(?:^|[_-])secret[_-]id$", re.IGNORECASE)
NUMBERS = re.compile(
    r"""passw(?:or)?d | ^key$ | (?:access|api|auth|client|license|private|secret|shared)[_-]?key$
      | (?:^|[_-])(?:otp|pass|passcode|passphrase|pat|pin|psk|pw|pwd|secret|token)$""",
    re.IGNORECASE | re.VERBOSE,
)
"""Names whose numbers are secrets; other numbers are limits and lengths."""
SMALLEST = 1000
"""Of the numbers inside something with the name of a secret: smaller ones count something."""
KEY_NAME = re.compile(r"(?:^|[_-])keys?$", re.IGNORECASE)
"""The path of an object or the name of a column, mostly."""
RANDOM = re.compile(
    r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9+]{20,}=*"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)  # each item of a list asks for the list's name
def has_secret_name(name: str) -> bool:
    """No schema says which of a provider's arguments are to be hidden, so their names must."""
    name = NEW_WORD.sub("_", name)
    if NO_SECRET.search(name):
        return bool(SECRET_ID.search(name))
    words = re.split("[_-]", name.lower())
    misspelt = any(get_close_matches(word, PLAIN_SECRETS, cutoff=0.85) for word in words)
    return bool(SECRET_NAME.search(name)) or misspelt


def is_secret_itself(text: str) -> bool:
    """Whether a text is a secret, or holds one, whatever its name."""
    return bool(PRIVATE_KEY.search(text)) or has_credential(text)


def has_credential(text: str) -> bool:
    """Whether there is a password or a token in a text, such as an address or a header."""
    in_url = "://" in text and (
        USER_IN_URL.search(text) or TOKEN_IN_URL.search(text) or masked_arguments(text) != text
    )
    return bool(in_url or TOKEN.search(text) or PAIR.search(text))


def looks_secret(name: str, value: object, *, hidden: bool = False) -> bool:
    """Whether a value is a secret that is written out. `hidden`: it is inside something with the
    name of a secret."""
    match value:
        case bool():
            return False
        case int() | float():
            plain = NEW_WORD.sub("_", name)
            is_number = (hidden and abs(value) >= SMALLEST) or NUMBERS.search(plain)
            return bool(is_number) and not NO_SECRET.search(plain)
        case str() if TEMPLATE.search(value):
            return bool(literal_secrets(value, is_named=hidden or has_secret_name(name)))
        case str() if value:
            return hidden or _is_secret_text(name, value)
    return False


def _is_secret_text(name: str, text: str) -> bool:
    is_key = KEY_NAME.search(name) and RANDOM.fullmatch(text)
    return bool(is_key) or has_secret_name(name) or is_secret_itself(text)


def template_parts(text: str) -> list[str]:
    """A template in parts: text, what is in braces, text, and so on."""
    parts, at = list[str](), 0
    while (start := text.find("{{", at)) >= 0 and (found := ACTION.match(text, start)):
        parts += [text[at:start], found.group()]
        at = found.end()
    return [*parts, text[at:]]


def literal_secrets(text: str, *, is_named: bool) -> list[int]:
    """The numbers of the parts of a template that are secrets: a reference does not make the text
    around it one. `is_named`: the option has the name of a secret, which does not count for an
    address."""
    found = []
    for n, part in enumerate(template_parts(text)):
        is_literal = any(each.isalnum() for each in NOT_LITERAL.sub("", part))
        by_name = is_named and "://" not in text
        if n % 2 == 0 and is_literal and (by_name or is_secret_itself(part)):
            found.append(n)
    return found


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a value, with the way to it."""
    match value:
        case str():
            yield path, value
        case dict():
            for name, inner in value.items():
                yield from texts(inner, f"{path}.{name}" if path else str(name))
        case list():
            for inner in value:
                yield from texts(inner, path)


def from_vault(value: Any) -> bool:
    """Whether a value, or one inside it, asks for a secret of Vault."""
    return any(VAULT.search(text) for _, text in texts(value))
