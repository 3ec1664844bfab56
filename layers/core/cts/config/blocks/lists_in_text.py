"""Texts that were meant as lists: `names = "web, api"` is one name."""

import re
from collections.abc import Sequence

MOST_SHOWN = 80
BRACKETS = re.compile(r"\s*\[.*\]\s*", re.DOTALL)
QUOTES = re.compile(r"""\s*(["']).*\1\s*""", re.DOTALL)
AS_WRITTEN = ("after_apply",)
"""Lists of anything, such as the arguments of a program."""
OF_FILES = ("variable_files",)
SEPARATOR = re.compile(r"[,;\s]")
BETWEEN_FILES = re.compile(r"[,;\n]")
ONE_EACH = "write one string for each element"


def lists_in_text(key: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """For each text what is hardly meant, and what all texts together should be. Both are empty if
    it is a plain element."""
    parts = [_parts(key, text) for text in texts]
    meant = ", ".join(f'"{part}"' for found in parts for part in found)
    fix = f"write {key} = [{meant}]" if 0 < len(meant) < MOST_SHOWN else ONE_EACH
    told = [
        "" if found == [text] or not text.strip() else _told(key, text, found)
        for text, found in zip(texts, parts, strict=True)
    ]
    return [(what, fix if what else "") for what in told]


def _parts(key: str, text: str) -> list[str]:
    separator = SEPARATOR
    if not BRACKETS.fullmatch(text):
        separator = BETWEEN_FILES if key in OF_FILES else SEPARATOR
        looks_so = separator.search(text.strip()) or QUOTES.fullmatch(text)
        if key in AS_WRITTEN or not looks_so:
            return [text]
    parts = (part.strip("[]{}\"' \t\r\n") for part in separator.split(text))
    return [part for part in parts if part]


def _told(key: str, text: str, parts: Sequence[str]) -> str:
    if len(parts) == 1 and not BRACKETS.fullmatch(text):
        return f"the quotes inside this string are a part of the element of {key}"
    return f"this string looks like a list, but is a single element of {key}"
