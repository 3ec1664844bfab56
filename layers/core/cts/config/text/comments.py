"""Comments are removed before a push, as they are not searched for secrets."""

import re
from collections.abc import Iterable, Iterator

from cts.config import bundle
from cts.config.blocks.model import Configuration
from cts.config.bundle import Files
from cts.config.hcl1 import tokens as hcl1
from cts.config.hcl2 import tokens as hcl2
from cts.config.text.read import is_json
from cts.config.text.tree import BOM, Lines

COMMENT = re.compile(r"(#|//)([^\n]*)|(/\*)(.*?)(\*/)", re.DOTALL)
Span = tuple[int, int]


def without_comments(files: Files, configuration: Configuration) -> dict[str, bytes]:
    """The files with blanks in the comments of configuration and variable files. Lines, columns
    and the marks of comments stay, and so does all that is read. Modules are left as they are."""
    written = {name for name in bundle.configuration_files(files) if name in files}
    variables = bundle.variable_files(configuration) & files.keys()
    texts = {name: files[name].decode() for name in written | variables}
    blanked = {
        name: _blanked(text, _hcl1(text) if name in written else _hcl2(text))
        for name, text in texts.items()
        if not (name in written and is_json(text, name))
    }
    return {**files, **{name: text.encode() for name, text in blanked.items()}}


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
