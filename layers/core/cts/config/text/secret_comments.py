"""Secrets in comments, such as an option that was commented out."""

import re
from collections.abc import Iterable, Iterator

from cts.build.masking import KEY_BEGINS
from cts.config.secrets import has_credential, has_secret_name

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
