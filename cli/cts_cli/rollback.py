"""A former generation, and the bundle that it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cts.config import bundle
from cts.config.compile import compile_bundle
from cts.config.secrets import refused
from cts.generation import Generation
from cts.keys import BUNDLE
from cts_cli import words
from cts_cli.aws import Stack
from cts_cli.errors import CommandError
from cts_cli.import_facts import environment
from cts_cli.push import Prepared
from cts_cli.validate import Checked

KEPT = 90
"""Days for which former bundles are kept."""


@dataclass(frozen=True, slots=True)
class Former:
    number: int
    published_at: datetime
    bundle: bytes


def prepare(former: Former, stack: Stack) -> Prepared:
    """Pushed are the same bytes once more."""
    try:
        files = bundle.unpacked(former.bundle)
    except bundle.UnreadableBundle as error:
        raise CommandError(
            f"what generation {former.number} was made from is no bundle any more: {error}"
        ) from error
    result = compile_bundle(files, stack.environment)
    problems = (*result.problems, *refused(result.secrets))
    checked = Checked(files, replace(result, problems=problems))
    ago = words.ago(former.published_at.isoformat(), words.now())
    at = f"{former.published_at.astimezone():%Y-%m-%d %H:%M}"
    title = [f"back to generation {former.number}, published {at} ({ago})"]
    if read := environment(result.configuration):
        title.append(f"secrets stay as they are now: {', '.join(read)}")
    return Prepared(former.bundle, f"generation {former.number} once more", checked, title=title)


def find(stack: Stack, live: Mapping[str, Any] | None, number: int | None) -> Former:
    """The generation of that number, or the newest that was made from other files than the live
    one. Raises CommandError if there is none, or its bundle is gone."""
    if live is None:
        raise CommandError("nothing is live yet, so there is nothing to go back to")
    last = live["generation"]
    if number is not None and not 0 < number < last:
        raise CommandError(_no_former(number, last))
    last_body = stack.bundle(live["source_version"]) if number is None else None
    at, digest = last, live["digest"]
    while digest:
        read = _read(stack, at, digest)
        version = read.sources[BUNDLE]
        if at == number:
            return Former(at, read.at, _bundle(stack, at, version))
        if number is None and version != live["source_version"]:
            body = _bundle(stack, at, version)
            if body != last_body:
                return Former(at, read.at, body)
        at, digest = at - 1, read.former
    wanted = f"generation {number}" if number else "a configuration before the live one"
    raise CommandError(f"{wanted} is not recorded: push the folder it was made from")


def _no_former(number: int, last: int) -> str:
    what = "is the live one" if number == last else "does not exist"
    if last == 1:
        return f"generation {number} {what}: there is no former one yet"
    return f"generation {number} {what}: name one from 1 to {last - 1}"


@dataclass(frozen=True, slots=True)
class _Read:
    sources: Mapping[str, str]
    former: str
    at: datetime


def _read(stack: Stack, number: int, digest: str) -> _Read:
    stored = stack.generation(number, digest)
    if stored is None:
        raise CommandError(
            f"the record of generation {number} is gone, and with it the way to those before: "
            "push a folder instead"
        )
    generation = Generation.from_json(stored.body)
    return _Read(generation.sources, generation.former, stored.at)


def _bundle(stack: Stack, number: int, version: str) -> bytes:
    body = stack.bundle(version)
    if body is None:
        raise CommandError(
            f"what generation {number} was made from is gone, for it is kept {KEPT} days: "
            "push its folder"
        )
    return body
