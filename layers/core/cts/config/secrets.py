"""Secrets written out in a configuration: found, named, and replaced by references."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import count
from typing import Any

from cts.config.blocks.model import WrittenSecret
from cts.config.bundle import KEY_HEADER, inside
from cts.config.rules.problem import Code, Problem


def _template(function: str) -> re.Pattern[str]:
    """A line's first opening is tried alone: what closes a later one closes it, too. To try each
    would take quadratic time."""
    opening = rf'\{{\{{[ \t\r\n]*(?:{function})[ \t\r\n]+"'
    return re.compile(rf'^(?>[^\n]*?{opening})[^\n]+"[ \t\r\n]*\}}\}}', re.MULTILINE)


TEMPLATE = _template(r"env|key|with[ \t\r\n]+secret")
"""What CTS evaluates in a provider's arguments; any other text in braces is only text."""
VAULT = _template(r"with[ \t\r\n]+secret")
PRIVATE_KEY = re.compile(KEY_HEADER)
USER_IN_URL = re.compile(r"://[^/\s:@]{1,200}:[^/\s@]{1,200}@")
SECRET_NAME = re.compile(
    r"""passw(?:or)?d | passphrase | passcode | (?:^|[_-])(?:pass|pwd|pin)$ | secret | token
      | credential | conn_str | connection[_-]?string
      | (?:access|account|api|app|auth|client|customer|encryption|hmac|license|master|private
           |service|shared|signing|ssh|subscription)[_-]?keys?$
      | (?:^|[_-])(?:auth|authorization|community|cookie|dsn|jwt|psk|sas)$""",
    re.IGNORECASE | re.VERBOSE,
)
NO_SECRET = re.compile(
    r"""(?:^|[_-])(?:algorithm|arn|capacity|enabled|endpoint|engine|expiration|expiry|files?|format
                    |header|ids?|issuer|length|mechanism|method|mode|names?|namespace|paths?|policy
                    |prefix|process|region|source|suffix|timeout|ttl|type|ur[il]s?|version)$
      | ^(?:allow|disable|enable|max|min|require|rotate|skip|use)[_-]""",
    re.IGNORECASE | re.VERBOSE,
)
PLAIN_SECRETS = ("password", "secret", "token", "apikey", "passphrase", "credentials")
SECRET_ID = re.compile(r"(?:^|[_-])secret[_-]id$", re.IGNORECASE)
NUMBERS = re.compile(r"passw(?:or)?d|(?:^|[_-])pin$", re.IGNORECASE)
"""Names whose numbers are secrets; other numbers are limits and lengths."""


@lru_cache(maxsize=4096)  # each item of a list asks for the list's name
def has_secret_name(name: str) -> bool:
    """No schema says which of a provider's arguments are to be hidden, so their names must."""
    if NO_SECRET.search(name):
        return bool(SECRET_ID.search(name))
    words = re.split("[_-]", name.lower())
    misspelt = any(get_close_matches(word, PLAIN_SECRETS, cutoff=0.85) for word in words)
    return bool(SECRET_NAME.search(name)) or misspelt


def looks_secret(name: str, value: object) -> bool:
    """Whether a value is a secret that is written out."""
    match value:
        case bool():
            return False
        case int():
            return bool(NUMBERS.search(name))
        case str() if value and not TEMPLATE.search(value):
            by_value = PRIVATE_KEY.search(value) or USER_IN_URL.search(value)
            return bool(by_value) or has_secret_name(name)
    return False


def env_name(path: str) -> str:
    """`terraform_provider.panos.api_key` as the name of an environment variable."""
    return re.sub(r"[^A-Z0-9]+", "_", path.upper()).strip("_")


def named(
    secrets: Iterable[WrittenSecret], files: Mapping[str, bytes], effective: Mapping[str, Any]
) -> tuple[WrittenSecret, ...]:
    """The secrets with their values, each under a unique name. A key file that is not there
    holds nothing to move.

    `effective`: the value of each option in the end. A secret that another value
    overrides leaves the option's name to that one, but may not stay in its file either.
    """
    spans = {(each.file, each.start, each.end): each for each in secrets}
    taken = {(each.group, each.name) for each in spans.values()}
    numbers: dict[tuple[str, str], Iterator[int]] = {}
    given: set[tuple[str, str]] = set()
    found: list[WrittenSecret] = []
    texts_of_files: dict[str, str] = {}
    for secret in spans.values():
        value = _content(secret, files, texts_of_files)
        if value is None:
            continue
        wanted = (secret.group, secret.name)
        is_last = effective.get(secret.where.path, secret.value) == secret.value
        name = secret.name
        if not is_last or wanted in given:
            more = (f"{name}_{n}" for n in numbers.setdefault(wanted, count(2)))
            name = next(each for each in more if (secret.group, each) not in taken)
        given.add((secret.group, name))
        taken.add((secret.group, name))
        found.append(replace(secret, name=name, value=value))
    return tuple(found)


def _content(secret: WrittenSecret, files: Mapping[str, bytes], read: dict[str, str]) -> str | None:
    """`read`: the texts of the files so far."""
    if not secret.is_file:
        return secret.value
    name = inside(secret.value)
    if name is None or name not in files:
        return None
    if name not in read:
        read[name] = files[name].decode(errors="replace")
    return read[name]


def moved(files: Mapping[str, bytes], secrets: Iterable[WrittenSecret]) -> dict[str, bytes]:
    """The files with a reference in the place of each secret: `"{{ env \\"NAME\\" }}"`."""
    texts = {secret.file: files[secret.file].decode() for secret in secrets}
    for secret in sorted(secrets, key=lambda each: each.start, reverse=True):
        text = texts[secret.file]
        reference = f'"{{{{ env \\"{secret.name}\\" }}}}"'
        texts[secret.file] = text[: secret.start] + reference + text[secret.end :]
    return {**files, **{name: text.encode() for name, text in texts.items()}}


def refused(secrets: Iterable[WrittenSecret]) -> Iterable[Problem]:
    """A bundle is stored where many can read it: nothing in it may be secret."""
    for secret in secrets:
        what = "the configuration contains a secret in plain text"
        reference = f'{{{{ env "{secret.name}" }}}}'
        fix = f"`cts push` keeps it as a secret of the stack and writes {reference}"
        yield secret.where.problem(Code.LITERAL_SECRET, what, fix)


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
