"""Values that are secret: whatever text they occur in, they are replaced by asterisks."""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from os.path import commonprefix
from urllib.parse import quote, quote_plus

from cts.build.masking import MASK

SHORTEST = 4
"""Characters. To mask a shorter value wherever it occurs would make a log unreadable."""
DEEPEST = 20
"""Levels of a pattern, of which Python takes about a hundred."""
PART = 8
"""Characters of the shortest line, word or other part of a value that is masked alone."""
HTML = {"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"}
"""As Go writes these in JSON."""


class Hidden:
    """Values, and the forms in which programs write them: in JSON, HCL, URLs, and base64."""

    def __init__(self) -> None:
        self._forms = set[str]()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        self._forms.update(forms(value))
        self._pattern = None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if not self._forms:
            return text
        pattern = self._pattern = self._pattern or re.compile(any_of(sorted(self._forms)))
        return pattern.sub(MASK, text)


def any_of(texts: Sequence[str], depth: int = 0) -> str:
    """A pattern for any of the texts, the longest that fits. Those that begin alike share their
    beginning, or a search would take as long as there are texts: a secret may have a thousand
    lines."""
    start = commonprefix([texts[0], texts[-1]])  # noqa: RUF071 (of texts)
    rests = [each[len(start) :] for each in texts if each != start]
    if depth == DEEPEST:
        inside = [re.escape(each) for each in sorted(rests, key=len, reverse=True)]
    else:
        alike = groupby(rests, key=lambda each: each[0])
        inside = [any_of([*each], depth + 1) for _, each in alike]
    if len(rests) < len(texts):
        inside.append("")
    return f"{re.escape(start)}(?:{'|'.join(inside)})" if rests else re.escape(start)


def forms(value: str) -> set[str]:
    """How a value may be written. A log comes in lines, and Terraform wraps long ones: so the lines
    and words of a value count, too."""
    values = {value, value.strip(), *_leaves(value)}
    pieces = {each for whole in values for line in whole.splitlines() for each in _pieces(line)}
    return {
        form
        for text, shortest in (
            *((each, SHORTEST) for each in values),
            *((each, PART) for each in pieces),
        )
        if len(text) >= shortest
        for form in (*_written(text), *_base64(text))
    }


def _pieces(line: str) -> Iterator[str]:
    yield line.strip()
    yield from line.split()


def _leaves(value: str) -> Iterator[str]:
    """The texts in a value that is JSON itself, which programs decode."""
    if not value.lstrip().startswith(("{", "[")):
        return
    try:
        inside = [json.loads(value)]
    except (ValueError, RecursionError):
        return
    while inside:
        match inside.pop():
            case str() as text:
                yield text
            case dict() as members:
                inside += members.values()
            case list() as items:
                inside += items


def _written(text: str) -> Iterator[str]:
    yield text
    for is_ascii in (True, False):
        in_json = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield in_json
        yield "".join(HTML.get(each, each) for each in in_json)
        yield in_json.replace("${", "$${").replace("%{", "%%{")
    for in_url in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield in_url
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), in_url)


def _base64(text: str) -> Iterator[str]:
    """Alone, or with something before or behind, such as a user's name: what depends on that is
    left out."""
    body = text.encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + body).decode()
        start = (0, 2, 3)[before]
        sure = whole[start : (before + len(body)) * 8 // 6]
        if len(sure) >= (PART if before else SHORTEST):
            yield sure
            yield sure.replace("+", "-").replace("/", "_")
