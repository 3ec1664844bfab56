"""A bundle becomes the live configuration: shown first, asked for if it removes something."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console

from cts.config.bundle import LARGEST_BUNDLE, archive
from cts.config.model import Secret
from cts.config.problem import Code
from cts_cli import answer, difference, output, problems, secrets, validate, waits, words
from cts_cli.aws import Stack
from cts_cli.client import Reader
from cts_cli.difference import Difference
from cts_cli.errors import CommandError
from cts_cli.validate import Checked

INTERRUPTED = "The push was made and will be answered: see `cts status`."


@dataclass(frozen=True, slots=True)
class Prepared:
    body: bytes
    what: str
    """In words."""
    checked: Checked
    """What is in it."""
    secrets: Sequence[Secret] = ()
    title: str = ""
    """What is said of it before all else."""


@dataclass(frozen=True, slots=True)
class How:
    yes: bool
    """Remove without asking."""
    wait: bool
    as_json: bool


def prepare(checked: Checked, stack: Stack) -> Prepared:
    """What a configuration is pushed as, that has no problems."""
    pushed = validate.as_pushed(checked, stack.environment)
    size = sum(map(len, pushed.files.values()))
    if size > LARGEST_BUNDLE:
        raise CommandError(
            f"the configuration and what it names have {size // 1024**2} MiB, and "
            f"{LARGEST_BUNDLE // 1024**2} MiB are allowed"
        )
    what = words.count(len(pushed.files), "file")
    return Prepared(archive(pushed.files), what, pushed, checked.result.secrets)


def refuse_invalid(checked: Checked, as_json: bool) -> None:
    """Ends the command if there are problems."""
    if not checked.result.problems:
        return
    if as_json:
        output.print_json({"outcome": "invalid", **checked.facts})
    else:
        validate.print_checked(output.out(), checked)
        output.err().print("Nothing was pushed.")
    raise typer.Exit(1)


def run(stack: Stack, reader: Reader, prepared: Prepared, how: How) -> int:
    """Returns the exit code."""
    refuse_invalid(prepared.checked, how.as_json)
    assert prepared.checked.result.compiled
    changes = difference.compare(reader.live(), prepared.checked.result.compiled)
    if not how.as_json:
        _tell(prepared, changes)
    if not (how.yes or _agreed(changes)):
        output.err().print("Nothing was pushed.")
        return 1
    began = words.now()
    # Before the bundle: it must never name a secret that is not there yet.
    moved = secrets.move(stack, prepared.secrets)
    if not how.as_json:
        _tell_moved(moved)
    version = stack.put_bundle(prepared.body)
    pushed = f"pushed {prepared.what}"
    facts: dict[str, Any] = {"source_version": version, "secrets": moved}
    if not how.wait:
        if how.as_json:
            output.print_json({"outcome": "pushed", **facts})
        else:
            output.out().print(f"{pushed}; `cts status` shows what comes of it", markup=False)
        return 0
    given = _answered(stack, reader, version, pushed)
    if how.as_json:
        output.print_json({"outcome": given.outcome, **facts, **given.facts})
    else:
        took = words.span((words.now() - began).total_seconds())
        answer.print_answer(given, prepared.checked.files, took, changes, prepared.checked.warnings)
    return 0 if given.outcome is waits.Outcome.PUBLISHED else 1


def _tell(prepared: Prepared, changes: Difference) -> None:
    console = output.out()
    if prepared.title:
        console.print(prepared.title, markup=False)
    _tell_warnings(console, prepared.checked.warnings_beside_tasks)
    difference.print_difference(console, changes)


def _tell_warnings(console: Console, warnings: Sequence[Mapping[str, Any]]) -> None:
    """In short: what is not needed here is so each time."""
    shown = [each for each in warnings if each["code"] != Code.NOT_NEEDED]
    problems.print_briefly(console, shown, problems.WARNING)
    if unneeded := len(warnings) - len(shown):
        text = f"{words.count(unneeded, 'option')} not needed here: `cts validate` says why"
        output.print_line(console, " ", "dim", text)


def _agreed(changes: Difference) -> bool:
    if not changes.tasks.removed:
        return True
    if not somebody_is_there():
        raise CommandError(
            f"this removes {words.count(len(changes.tasks.removed), 'task')} "
            f"({', '.join(changes.tasks.removed)}), and nobody is here to agree: say --yes"
        )
    try:
        return typer.confirm(difference.removal_question(changes), err=True)
    except typer.Abort as error:
        output.err().print("\nNothing was pushed.")
        raise typer.Exit(130) from error


def _tell_moved(moved: Mapping[str, Sequence[str]]) -> None:
    console = output.out()
    for group, names in moved.items():
        told = f"kept in the stack's {group} secret: {', '.join(names)}"
        output.print_line(console, "✓", "green", told)


def _answered(stack: Stack, reader: Reader, version: str, pushed: str) -> waits.Answer:
    text = f"{pushed}, waiting for the publisher"
    with interruptible(INTERRUPTED), output.progress(text) as progress:
        ticks = waits.every(1.0, waits.LONGEST_ANSWER)
        return waits.for_answer(reader, stack.newest_bundle, version, ticks, progress.tell)


@contextmanager
def interruptible(said: str) -> Iterator[None]:
    """Ctrl-C ends a wait, and what is waited for goes on: `said` says so."""
    try:
        yield
    except KeyboardInterrupt as error:
        output.err().print(f"Interrupted. {said}", markup=False)
        raise typer.Exit(130) from error


def somebody_is_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()  # None: it was closed
