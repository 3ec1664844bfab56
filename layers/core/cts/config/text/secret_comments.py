"""Secrets in comments, such as an option that was commented out, and in Terraform's own code."""

import re
from collections.abc import Iterable, Iterator

from cts.build.masking import KEY_BEGINS, SECRET_ID, secret_values
from cts.config.local_files import is_path_of_key
from cts.config.secrets import (
    NEUTRAL,
    RANDOM,
    credentials,
    has_credential,
    has_secret_name,
    is_literal,
    looks_secret,
)

ASSIGNED = re.compile(
    r"""(?<![\w.-])"?([A-Za-z][\w-]{0,60})"?[ \t]*[:=][ \t]*
        (?:"((?:[^"\\\n]|\\.)+)"|([^\s"'`,;]{6,200})[ \t]*(?=[\r\n]|\Z))""",
    re.VERBOSE,
)
"""A name and a text in quotes, or a word at the end of a line."""
MARK = re.compile(r"#|//")
MOST_FOUND = 20
"""Secrets that are said of one file."""
IN_COMMENT = "this comment contains what looks like a secret"
IN_CODE = "this looks like a secret"
INTERPOLATION = re.compile(r"[$%]\{[^{}]*\}")
REFERENCE = re.compile(r"\$\{|\{\{|(?:var|local|data|each|module|self)\.")
PLACEHOLDER = re.compile(
    r"<.*>|\W*|x+|(?:my|your)[\w -]*|change.?me|example|none|null|password|placeholder|redacted"
    r"|secret|todo|token|true|false",
    re.IGNORECASE,
)


def may_hold_secrets(text: str) -> bool:
    """Whether a closer look at the comments of a text is worth it."""
    is_block = "/*" in text
    lines = (line for line in text.splitlines() if is_block or MARK.search(line))
    return any(map(_holds_secret, lines))


def secrets_in(comments: Iterable[re.Match[str]]) -> Iterator[int]:
    """Where in the text secrets are, at most one in each line of the comments."""
    for comment in comments:
        at = comment.start()
        for line in comment.group().splitlines(keepends=True):
            if _holds_secret(line):
                yield at
            at += len(line)


def secrets_in_code(text: str) -> Iterator[int]:
    """Where secrets are in Terraform's code: in quotes, and not only a reference. A file with
    comments has theirs found, too."""
    plain = without_references(text)
    for start, end in credentials(plain):
        if not PLACEHOLDER.fullmatch(plain, start, end):
            yield start
    for name, found in secret_values(plain):
        if found[1] and _is_secret_in_code(name, found[1][1:-1]):
            yield found.start()


def without_references(text: str) -> str:
    """Of the same length, with neutral text in the place of interpolations."""
    return INTERPOLATION.sub(lambda found: NEUTRAL * len(found.group()), text)


def _is_secret_in_code(name: str, value: str) -> bool:
    """Modules often find a secret by its ID, which is a name there."""
    literal = re.split(r"[$%]\{", value)[0]  # what is nested was not removed
    if SECRET_ID.search(name) and not RANDOM.fullmatch(literal):
        return False
    if is_path_of_key(name, literal) or not is_literal(literal):
        return False
    return looks_secret(name, literal) and _is_secret(name, literal, None)


def _holds_secret(line: str) -> bool:
    if has_credential(line) or KEY_BEGINS.search(line):
        return True
    return any(_is_secret(*found.groups()) for found in ASSIGNED.finditer(line))


def _is_secret(name: str, quoted: str | None, word: str | None) -> bool:
    """A word without quotes is prose, unless it has a digit."""
    value = quoted or word or ""
    if REFERENCE.match(value) or PLACEHOLDER.fullmatch(value):
        return False
    is_written = quoted is not None or any(each.isdigit() for each in value)
    return is_written and has_secret_name(name)
