"""Secrets that stand in a configuration: found, named, and replaced by references."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cts.config.model import Secret
from cts.config.problem import Code, Problem

TEMPLATE = re.compile(
    r'\{\{[ \t\r\n]*(?:env|key|with[ \t\r\n]+secret)[ \t\r\n]+"[^\n]+"[ \t\r\n]*\}\}'
)
"""What CTS evaluates in a provider's arguments; any other text in braces is only text."""
VAULT = re.compile(r'\{\{[ \t\r\n]*with[ \t\r\n]+secret[ \t\r\n]+"[^\n]+"[ \t\r\n]*\}\}')
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase|code)?$|^pwd$|secret|token|api_?key|private_?key|access_?key"
    r"|auth_?key|client_?key|shared_?key|credential|sas|conn_str|connection_?string",
    re.IGNORECASE,
)
NO_SECRET = re.compile(
    r"_(?:id|ids|url|uri|file|path|name|type|ttl|arn|version|endpoint|method|mode|enabled|header)$"
    r"|^(?:skip|use|disable|enable|max|min)_",
    re.IGNORECASE,
)


def looks_secret(name: str, value: object) -> bool:
    """Whether a provider's argument is one to hide: no schema says so, so its name must."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return False
    text = str(value)
    if PRIVATE_KEY.search(text):
        return True
    named = SECRET_NAME.search(name) and not NO_SECRET.search(name)
    return bool(named) and not TEMPLATE.search(text)


def env_name(path: str) -> str:
    """`terraform_provider.panos.api_key` as the name of an environment variable."""
    return re.sub(r"[^A-Z0-9]+", "_", path.upper()).strip("_")


def named(secrets: Iterable[Secret], files: Mapping[str, bytes]) -> tuple[Secret, ...]:
    """The secrets with their values, and with names of their own.

    Of two of one name the last one has it, as the last file that sets an option wins. A key file
    that is not there holds nothing to move.
    """
    found, taken = [], Counter[tuple[str, str]]()
    for secret in reversed([*secrets]):
        if secret.is_file and secret.value not in files:
            continue
        value = files[secret.value].decode(errors="replace") if secret.is_file else secret.value
        taken[secret.group, secret.name] += 1
        count = taken[secret.group, secret.name]
        name = secret.name if count == 1 else f"{secret.name}_{count}"
        found.append(replace(secret, name=name, value=value))
    return tuple(reversed(found))


def moved(files: Mapping[str, bytes], secrets: Iterable[Secret]) -> dict[str, bytes]:
    """The files with a reference in the place of each secret: `"{{ env \\"NAME\\" }}"`."""
    texts = {secret.file: files[secret.file].decode() for secret in secrets}
    for secret in sorted(secrets, key=lambda each: each.start, reverse=True):
        text = texts[secret.file]
        reference = f'"{{{{ env \\"{secret.name}\\" }}}}"'
        texts[secret.file] = text[: secret.start] + reference + text[secret.end :]
    return {**files, **{name: text.encode() for name, text in texts.items()}}


def refused(secrets: Iterable[Secret]) -> Iterable[Problem]:
    """A bundle is stored where many can read it: nothing in it may be secret."""
    for secret in secrets:
        what = "a secret stands in the configuration"
        reference = f'{{{{ env "{secret.name}" }}}}'
        fix = f"`cts push` keeps it as a secret of the stack and writes {reference}"
        yield secret.where.problem(Code.LITERAL_SECRET, what, fix)


def from_vault(value: Any) -> bool:
    """Whether a value, or one inside it, asks for a secret of Vault."""
    match value:
        case str():
            return bool(VAULT.search(value))
        case dict():
            return any(from_vault(each) for each in value.values())
        case list():
            return any(from_vault(each) for each in value)
    return False
