"""Secrets in a module's files. Nothing is moved out of these: Terraform reads them as they are."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from posixpath import basename

from cts.build.masking import KEY, TOKEN, masked
from cts.config.bundle import PRIVATE_KEY, TERRAFORM, Files
from cts.config.hcl2.tokens import tokens
from cts.config.rules.problem import Place
from cts.config.rules.warnings import IN_ADDRESS, TAKE_IT_OUT
from cts.config.secrets import has_credential
from cts.config.text.comments import comments
from cts.config.text.secret_comments import (
    IN_CODE,
    IN_COMMENT,
    MOST_FOUND,
    may_hold_secrets,
    secrets_in,
    secrets_in_code,
    without_references,
)
from cts.config.text.tree import BOM, Lines, ParseError

KEY_FILE = re.compile(
    r"\.(?:asc|cer|crt|der|env|gpg|json|key|p8|pem)$|^id_(?:dsa|ecdsa|ed25519|rsa)", re.IGNORECASE
)
"""Names of files that are keys, if a key is in them."""
BINARY_KEY = re.compile(r"\.(?:key|p8)$", re.IGNORECASE)
STORE = re.compile(r"\.(?:jks|keystore|p12|pfx|ppk)$", re.IGNORECASE)
"""Files that hold private keys, not as plain text."""
DER = b"0\x82"
"""How binary keys and certificates begin."""
CREDENTIALS = re.compile(
    r"""(?:\.env|\.git-credentials|[._]netrc|\.pgpass|\.terraformrc|terraform\.rc|\.vault-token
          |credentials\.tfrc\.json)""",
    re.VERBOSE,
)
"""Files that programs keep passwords and tokens in."""
SOURCE = re.compile(r'(?<![\w.-])"?source"?[ \t]*[=:][ \t]*("(?:[^"\\\n]|\\.)*")')
"""Of a module, in HCL or JSON; whatever else has that name should not have a credential either."""
LARGEST = 1_000_000
"""Bytes of a file that is searched."""
STORED = ", and modules are stored as they are"
LET_IT_READ = "let the module read it from where secrets are kept"
DELETE = "delete it, and replace the secret if it is in use"


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a file of a module."""

    place: Place
    """In the module's folder."""
    what: str
    fix: str
    is_refused: bool = False
    """The file is there for the secret alone, so the module can do without it in a bundle."""


def secret_files(module: Files) -> tuple[Found, ...]:
    """What is secret in the files of a module, at most one thing in each line."""
    secrets = list[Found]()
    for name, content in module.items():
        what = "" if name.endswith(TERRAFORM) else _secret_file(basename(name), content)
        fix = f"remove the file, and {LET_IT_READ}"
        whole = Found(Place(name), f"{what}{STORED}", fix, is_refused=True)
        secrets += [whole] if what else islice(_one_a_line(_in_text(name, content)), MOST_FOUND)
    return tuple(secrets)


def _one_a_line(secrets: Iterable[Found]) -> Iterator[Found]:
    lines = set[int]()
    for each in secrets:
        if each.place.line not in lines:
            lines.add(each.place.line)
            yield each


def is_for_secrets(name: str) -> bool:
    """Whether a file's name says that it holds keys, passwords or tokens."""
    patterns = (CREDENTIALS.fullmatch, STORE.search, BINARY_KEY.search)
    return any(each(name) for each in patterns)


def _secret_file(name: str, content: bytes) -> str:
    """What a file is that is there for a secret; empty for any other."""
    if CREDENTIALS.fullmatch(name) and content:
        return "this file is for passwords and tokens"
    is_key = KEY_FILE.search(name) or content[:100].lstrip().startswith(b"-----BEGIN ")
    is_binary = BINARY_KEY.search(name) and content.startswith(DER)
    if is_binary or (is_key and PRIVATE_KEY.search(content)) or (STORE.search(name) and content):
        return "this file contains a private key"
    return ""


def _in_text(name: str, content: bytes) -> Iterator[Found]:
    if len(content) > LARGEST or b"\0" in content:
        return
    text = content.decode(errors="replace").removeprefix(BOM)
    lines = Lines(text, name)
    for pattern, what in ((KEY, "a private key"), (TOKEN, "what looks like a token")):
        for found in pattern.finditer(text):
            yield Found(lines.place(found.start()), f"this is {what}{STORED}", DELETE)
    if name.endswith(TERRAFORM):
        yield from _in_addresses(text, lines)
        with suppress(ParseError):  # what can't be read here is Terraform's to refuse
            yield from _in_comments(text, lines)
        for at in secrets_in_code(text):
            yield Found(lines.place(at), f"{IN_CODE}{STORED}", LET_IT_READ)


def _in_addresses(text: str, lines: Lines) -> Iterator[Found]:
    for found in SOURCE.finditer(text):
        address = found[1]
        literal = without_references(address)
        if has_credential(literal) or (literal == address and masked(address) != address):
            yield Found(lines.place(found.start()), IN_ADDRESS, TAKE_IT_OUT)


def _in_comments(text: str, lines: Lines) -> Iterator[Found]:
    if lines.file.endswith(".tf") and may_hold_secrets(text):
        spans = ((each.at, each.at + len(each.text)) for each in tokens(text, lines))
        for at in secrets_in(comments(text, spans)):
            yield Found(lines.place(at), f"{IN_COMMENT}{STORED}", DELETE)
