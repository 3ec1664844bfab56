"""What a saved query of Logs Insights names, and what a function's log has."""

import json
import re
from collections.abc import Iterator

TEXTS = re.compile(r'"[^"]*"|/(?:\\.|[^/\n])*/')
ALIASES = re.compile(r"\bas (\w+)")
NAMES = re.compile(r"@?\b[A-Za-z_][\w.]*\b(?!\()")
WORDS = {
    "fields", "filter", "stats", "sort", "limit", "by", "as", "or", "and", "like", "in", "asc",
    "desc",
}  # fmt: skip
OF_EACH_LINE = {"@timestamp", "@message"}


def named(query: str) -> set[str]:
    """The fields that a query reads from the lines of a log."""
    code = TEXTS.sub("", query)
    return {*NAMES.findall(code)} - {*ALIASES.findall(code)} - WORDS - OF_EACH_LINE


def fields(log: str) -> set[str]:
    """The fields that Insights finds in the lines that are JSON: `a.b` in objects, `a.0` in
    lists."""
    return {
        name for line in log.splitlines() if line[:1] == "{" for name in _names(json.loads(line))
    }


def _names(value: object, path: str = "") -> Iterator[str]:
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = [*value.items()]
    elif isinstance(value, list):
        items = [*enumerate(value)]
    else:
        yield path
    for key, inner in items:
        yield from _names(inner, f"{path}.{key}" if path else str(key))
