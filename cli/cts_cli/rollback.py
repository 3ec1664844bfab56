"""Find an earlier generation and the bundle it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cts import keys
from cts.config import bundle
from cts.config.compile import compile_bundle
from cts.config.limits import OverLimit
from cts.config.moving import refused
from cts_cli import generations, words
from cts_cli.aws import Stack
from cts_cli.errors import CommandError
from cts_cli.import_facts import environment
from cts_cli.push import Prepared
from cts_cli.validate import Checked

KEPT = 90
"""Days for which earlier bundles are kept."""


@dataclass(frozen=True, slots=True)
class Former:
    number: int
    published_at: datetime
    bundle: bytes


def prepare(former: Former, stack: Stack) -> Prepared:
    """Prepare the push of the same bytes."""
    try:
        files = bundle.unpacked(former.bundle)
    except (bundle.UnreadableBundle, OverLimit) as error:
        raise CommandError(
            f"the bundle of generation {former.number} can't be read: {error}"
        ) from error
    result = compile_bundle(files, stack.environment)
    problems = (*result.problems, *refused(result.secrets))
    checked = Checked(files, replace(result, problems=problems))
    ago = words.ago(former.published_at.isoformat(), words.now())
    at = f"{former.published_at.astimezone():%Y-%m-%d %H:%M}"
    title = [f"rolling back to generation {former.number}, published {at} ({ago})"]
    if read := environment(result.configuration):
        title.append(f"secrets keep their current values: {', '.join(read)}")
    what = f"generation {former.number} again"
    question = f"Roll back to generation {former.number}?"
    return Prepared(what, checked, title=title, question=question)


def find(stack: Stack, live: Mapping[str, Any] | None, number: int | None) -> Former:
    """The generation with that number, or the newest one whose files differ from the live one's.
    Raises CommandError if there is none, or its bundle has expired."""
    if live is None:
        raise CommandError("nothing is live yet, so there is nothing to roll back to")
    last = live["generation"]
    if number is None and last == 1:
        raise CommandError(_no_former(last, last))
    if number is not None and not 0 < number < last:
        raise CommandError(_no_former(number, last))
    last_body = stack.bundle(live["source_version"]) if number is None else None
    at, digest, same = last, live["digest"], 0
    while digest:
        read = generations.read(stack, at, digest)
        version = read.generation.sources.get(keys.BUNDLE, "")
        if at == number and not version:
            what = "only has tasks that were created through the API"
            raise CommandError(f"generation {at} {what}: there is nothing to push again")
        if at == number:
            return Former(at, read.at, _bundle(stack, at, version))
        if number is None and version and at < last:
            if (
                version != live["source_version"]
                and (body := _bundle(stack, at, version)) != last_body
            ):
                return Former(at, read.at, body)
            same = same or at
        at, digest = at - 1, read.generation.former
    if same:
        raise CommandError(
            "no earlier generation has files that differ from the live one's: "
            f"to push the same files again, give a number, as in `cts rollback {same}`"
        )
    wanted = f"generation {number}" if number else "an earlier configuration"
    raise CommandError(f"there is no record of {wanted}: push its folder instead")


def _no_former(number: int, last: int) -> str:
    what = "is the live one" if number == last else "does not exist"
    if last == 1:
        return f"generation {number} {what}: there is no earlier one yet"
    return f"generation {number} {what}: choose one from 1 to {last - 1}"


def _bundle(stack: Stack, number: int, version: str) -> bytes:
    body = stack.bundle(version)
    if body is None:
        raise CommandError(
            f"the bundle of generation {number} is gone, as bundles are kept for {KEPT} days: "
            "push its folder instead"
        )
    return body
