"""Comments of configuration and variable files: searched for secrets, and removed before a push."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from cts.config import bundle
from cts.config.blocks.model import Configuration
from cts.config.bundle import Files
from cts.config.hcl1 import tokens as hcl1
from cts.config.hcl2 import tokens as hcl2
from cts.config.rules.problem import Place
from cts.config.text.read import decoded, is_json
from cts.config.text.secret_comments import MOST_FOUND, may_hold_secrets, secrets_in
from cts.config.text.tree import BOM, Lines, ParseError

COMMENT = re.compile(r"(#|//)([^\n]*)|(/\*)(.*?)(\*/)", re.DOTALL)
Span = tuple[int, int]


def comments(text: str, tokens: Iterable[Span]) -> Iterator[re.Match[str]]:
    """The comments of a text with these tokens."""
    at = 0
    for start, end in tokens:
        yield from COMMENT.finditer(text, at, start)
        at = end
    yield from COMMENT.finditer(text, at)


def without_comments(files: Files, configuration: Configuration) -> dict[str, bytes]:
    """The files with blanks in the comments of configuration and variable files. Lines, columns
    and the marks of comments stay, and so does all that is read. Modules are left as they are."""
    blanked = {name: _blanked(text, tokens) for name, text, tokens in _read(files, configuration)}
    return {**files, **{name: text.encode() for name, text in blanked.items()}}


def secret_comments(files: Files, configuration: Configuration) -> Iterator[Place]:
    """Where secrets are in the comments of configuration and variable files."""
    for name, text, tokens in _read(files, configuration):
        with suppress(ParseError):  # the rest is not read
            found = secrets_in(comments(text, tokens)) if may_hold_secrets(text) else ()
            yield from map(Lines(text, name).place, islice(found, MOST_FOUND))


def _read(files: Files, configuration: Configuration) -> Iterator[tuple[str, str, Iterator[Span]]]:
    """Configuration and variable files: name, text, and where each token is."""
    written = {name for name in bundle.configuration_files(files) if name in files}
    variables = bundle.variable_files(configuration) & files.keys()
    for name in sorted(written | variables):
        text, problem = decoded(files[name], name)
        if problem or (name in written and is_json(text, name)):
            continue
        yield name, text, _hcl1(text) if name in written else _hcl2(text)


def _hcl1(text: str) -> Iterator[Span]:
    """Where each token is."""
    yield from ((token.start, token.end) for token in hcl1.tokens(text, Lines(text, "")))


def _hcl2(text: str) -> Iterator[Span]:
    start = len(BOM) if text.startswith(BOM) else 0
    bare = text[start:]
    for token in hcl2.tokens(bare, Lines(bare, "")):
        yield start + token.at, start + token.at + len(token.text)


def _blanked(text: str, tokens: Iterable[Span]) -> str:
    parts, at = list[str](), 0
    for start, end in tokens:
        parts += [COMMENT.sub(_blank, text[at:start]), text[start:end]]
        at = end
    return "".join([*parts, COMMENT.sub(_blank, text[at:])])


def _blank(comment: re.Match[str]) -> str:
    line, in_line, opening, inside, closing = comment.groups(default="")
    return line + opening + re.sub(r"\S", " ", in_line + inside) + closing
