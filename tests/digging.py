"""Every text in what a system has stored or sent, however it is wrapped."""

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
DEEPEST = 4
"""Wraps around a text that are looked into."""


def texts(value: Any, depth: int = DEEPEST) -> Iterator[str]:
    """Every text in a value, also in the files of a zip, in gzip, and in base64."""
    match value:
        case bytes():
            yield from texts(value.decode(errors="replace"), depth)
            for inner in _unwrapped(value) if depth else ():
                yield from texts(inner, depth - 1)
        case str():
            yield value
            if depth:
                for found in BASE64.findall(value):
                    yield from texts(_decoded(found), depth - 1)
        case Mapping():
            yield from texts([*value.keys(), *value.values()], depth)
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from texts(each, depth)
        case _ if is_dataclass(value):
            yield from texts([getattr(value, each.name) for each in fields(value)], depth)
        case _:
            yield str(value)


def _unwrapped(value: bytes) -> Iterator[str | bytes]:
    """What is in a zip or in gzip."""
    with suppress(OSError, EOFError, zlib.error, zipfile.BadZipFile):
        if value.startswith(b"PK\3\4"):
            with zipfile.ZipFile(io.BytesIO(value)) as archive:
                for name in archive.namelist():
                    yield name
                    yield archive.read(name)
        elif value.startswith(b"\x1f\x8b"):
            yield gzip.decompress(value)


def _decoded(text: str) -> bytes:
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(plain[: len(plain) - (len(plain) % 4 == 1)] + "==")


def dug(places: Mapping[str, Any]) -> dict[str, str]:
    """All texts of each place in one, to look for several secrets."""
    return {name: "\n".join(texts(value)) for name, value in places.items()}


def holding(secret: str, places: Mapping[str, Any]) -> set[str]:
    """The names of the places that have a secret somewhere."""
    return {name for name, text in dug(places).items() if secret in text}
