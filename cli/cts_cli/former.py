"""A former generation, and the bundle that it was made from."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cts.config.compile import compile_bundle
from cts_cli import words
from cts_cli.aws import BUNDLE, Stack
from cts_cli.check import Checked
from cts_cli.errors import CommandError
from cts_cli.push import Push

KEPT = 90
"""Days for which former bundles are kept."""


@dataclass(frozen=True, slots=True)
class Former:
    number: int
    published_at: datetime
    bundle: bytes


def made(former: Former, stack: Stack) -> Push:
    """Pushed are the same bytes once more."""
    with zipfile.ZipFile(io.BytesIO(former.bundle)) as packed:
        files = {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}
    checked = Checked(files, compile_bundle(files, stack.environment))
    ago = words.ago(former.published_at.isoformat(), words.now())
    at = f"{former.published_at.astimezone():%Y-%m-%d %H:%M}"
    title = f"back to generation {former.number}, published {at} ({ago})"
    return Push(former.bundle, f"generation {former.number} once more", checked, title=title)


def find(stack: Stack, live: Mapping[str, Any] | None, number: int | None) -> Former:
    """The generation of that number, or the newest that was made from other sources than the
    live one. Raises CommandError if there is none, or its bundle is gone."""
    if live is None:
        raise CommandError("nothing is live yet, so there is nothing to go back to")
    last = live["generation"]
    if number is not None and not 0 < number < last:
        told = "is the live one" if number == last else "does not exist"
        raise CommandError(f"generation {number} {told}: name one from 1 to {last - 1}")
    at, digest = last, live.get("digest", "")
    while digest:
        read = _read(stack, at, digest)
        version = read.sources[BUNDLE]
        if at == number or (number is None and version != live["source_version"]):
            return Former(at, read.at, _bundle(stack, at, version))
        at, digest = at - 1, read.former
    wanted = f"generation {number}" if number else "the former generation"
    raise CommandError(f"{wanted} is not recorded: push the folder it was made from")


@dataclass(frozen=True, slots=True)
class _Read:
    sources: Mapping[str, str]
    former: str
    at: datetime


def _read(stack: Stack, number: int, digest: str) -> _Read:
    stored = stack.generation(number, digest)
    if stored is None:
        raise CommandError(f"generation {number} is gone: push the folder it was made from")
    raw = json.loads(stored.body)
    return _Read(raw["sources"], raw.get("former", ""), stored.at)


def _bundle(stack: Stack, number: int, version: str) -> bytes:
    body = stack.bundle(version)
    if body is None:
        raise CommandError(
            f"what generation {number} was made from is gone, for it is kept {KEPT} days: "
            "push its folder"
        )
    return body
