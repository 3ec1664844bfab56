"""What files in a bundle can be called, and which files: each has one name, below the top."""

import re
import stat
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from unicodedata import category
from zipfile import ZipInfo

DRIVE = re.compile(r"[A-Za-z]:")
TYPES = {0, stat.S_IFREG, stat.S_IFDIR}
"""Of Unix. 0: the zip was made without them."""


def wrong_name(name: str) -> str | None:
    """What is wrong with a file's name, to follow the name in a sentence. None if nothing is."""
    parts = name.split("/")
    if any(category(each) == "Cc" for each in name):
        return "contains a control character"
    if "\\" in name:
        return "contains a backslash"
    if name.startswith("/") or DRIVE.match(name):
        return "is absolute"
    if ".." in parts:
        return 'contains ".."'
    if "." in parts or "" in parts:
        return 'has a part that is empty or "."'
    return None


def wrong_entries(entries: Sequence[ZipInfo]) -> str | None:
    """Why these are not the entries of a bundle, as a sentence. None if they are."""
    for each in entries:
        for name in (each.orig_filename, each.filename):  # they differ behind a NUL
            if wrong := wrong_name(name.removesuffix("/")):
                return f"the name {name!r} {wrong}"
        kind = stat.S_IFMT(each.external_attr >> 16)
        if kind not in TYPES:
            what = "a link" if kind == stat.S_IFLNK else "neither a file nor a folder"
            return f"{each.filename!r} is {what}"
    return _doubled(sorted(each.filename for each in entries))


def _doubled(names: Sequence[str]) -> str | None:
    for name, following in pairwise(names):
        if name == following:
            return f"the name {name!r} occurs twice"
    for name in names:
        inner = f"{name}/"
        at = bisect_left(names, inner)
        if at < len(names) and names[at].startswith(inner):
            return f"{name!r} is both a file and a folder"
    return None
