"""What is a secret that is written out: by its name, or by what it looks like."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from itertools import accumulate
from typing import Any

from cts.build.masking import (
    ARGUMENT,
    KEY_HEADER,
    NEW_WORD,
    NO_SECRET,
    PAIR,
    TOKEN,
    TOKEN_USER,
    is_secret_argument,
    is_secret_name,
)
from cts.build.references import RESOLVED, TEMPLATE, VAULT
from cts.terraform.references import is_reference

ACTION = re.compile(r'\{\{(?:"[^"\n]*"|[^"}]|\}(?!\}))*\}\}')
"""Anything in braces, once a text is a template."""
NOT_LITERAL = re.compile(r"-----[A-Z0-9 ]{1,60}-----|\b(?:basic|bearer|token)\b", re.IGNORECASE)
"""What may be written around a reference: the marks of a key, and the kinds of authorization."""
PRIVATE_KEY = re.compile(KEY_HEADER)
KEY_CONTENT = re.compile(rf"{KEY_HEADER}(.*?)(?=-----END |\Z)", re.DOTALL)
USER_IN_URL = re.compile(r'://[^/\s:@"]{0,200}:([^/\s@]{1,200})@')
TOKEN_IN_URL = re.compile(rf"://({TOKEN_USER}):?@")
SCHEME = re.compile(r"(?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]{1,19}://")
NEUTRAL = "."
"""Instead of a reference: it can be a part of any address, and does not count as a secret."""
PLAIN_SECRETS = ("password", "secret", "token", "apikey", "passphrase", "credentials")
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
AUTH = re.compile(r"(?:^|[_-])auth$", re.IGNORECASE)
METHOD = re.compile(
    r"basic|bearer|cert|digest|kerberos|ldap|none|ntlm|oauth2?|token", re.IGNORECASE
)
"""What `auth` may name, instead of a secret."""
RANDOM = re.compile(
    r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9+]{20,}=*"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)  # each item of a list asks for the list's name
def has_secret_name(name: str) -> bool:
    """No schema says which of a provider's arguments are to be hidden, so their names must."""
    plain = NEW_WORD.sub("_", name)
    if is_secret_name(name) or NO_SECRET.search(plain):
        return is_secret_name(name)
    words = re.split("[_-]", plain.lower())
    return any(get_close_matches(word, PLAIN_SECRETS, cutoff=0.85) for word in words)


def is_secret_itself(text: str) -> bool:
    """Whether a text is a secret, or holds one, whatever its name."""
    return bool(PRIVATE_KEY.search(text)) or has_credential(text)


def has_credential(text: str) -> bool:
    """Whether there is a password or a token in a text, such as an address or a header."""
    return next(credentials(text), None) is not None


def credentials(text: str) -> Iterator[tuple[int, int]]:
    """Where passwords and tokens are in a text."""
    if "://" in text:
        for pattern in (USER_IN_URL, TOKEN_IN_URL):
            yield from _written(pattern, text)
        for found in ARGUMENT.finditer(text):
            if is_secret_argument(found[2], found[3]) and _is_written(found[3]):
                yield found.span(3)
    yield from (found.span() for found in TOKEN.finditer(text))
    yield from _written(PAIR, text)


def _written(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    for found in pattern.finditer(text):
        span = found.span(found.lastindex or 0)
        if _is_written(text[slice(*span)]):
            yield span


def _is_written(text: str) -> bool:
    """Marks alone, such as asterisks, do not count."""
    return any(map(str.isalnum, text))


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
        case str() if is_reference(value):
            return bool(literal_secrets(value, is_named=hidden or has_secret_name(name)))
        case str() if value:
            return hidden or _is_secret_text(name, value)
    return False


def _is_secret_text(name: str, text: str) -> bool:
    is_key = KEY_NAME.search(name) and RANDOM.fullmatch(text)
    is_named = has_secret_name(name) and not (AUTH.search(name) and METHOD.fullmatch(text))
    return bool(is_key) or is_named or is_secret_itself(text)


def template_parts(text: str) -> list[str]:
    """A text with references in parts: text, what is in braces, text, and so on. Without a
    template, other braces are text."""
    if not TEMPLATE.search(text):
        return _parted(text, RESOLVED.finditer(text))
    return _parted(text, _actions(text))


def _actions(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while (start := text.find("{{", at)) >= 0 and (found := ACTION.match(text, start)):
        yield found
        at = found.end()


def _parted(text: str, found: Iterable[re.Match[str]]) -> list[str]:
    parts, at = list[str](), 0
    for each in found:
        parts += [text[at : each.start()], each[0]]
        at = each.end()
    return [*parts, text[at:]]


def literal_secrets(text: str, *, is_named: bool) -> list[int]:
    """The numbers of the parts of a template that are secrets: a reference does not make the text
    around it one. `is_named`: the option has the name of a secret, which does not count for an
    address."""
    parts = template_parts(text)
    found = set[int]()
    if is_named and not any(map(SCHEME.search, parts[::2])):
        found = {n for n in range(0, len(parts), 2) if is_literal(parts[n])}
    return sorted(found.union(_around_references(parts)))


def _around_references(parts: list[str]) -> Iterator[int]:
    """The parts that a secret is in, whatever the references between them are."""
    plain = [NEUTRAL if n % 2 else part for n, part in enumerate(parts)]
    starts = [0, *accumulate(map(len, plain))]
    whole = "".join(plain)
    keys = (found.span(1) for found in KEY_CONTENT.finditer(whole))
    for start, end in (*credentials(whole), *keys):
        n = bisect_right(starts, start) - 1
        while n < len(parts) and starts[n] < end:
            if n % 2 == 0 and is_literal(whole[max(start, starts[n]) : min(end, starts[n + 1])]):
                yield n
            n += 1


def is_literal(text: str) -> bool:
    return _is_written(NOT_LITERAL.sub("", text))


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
