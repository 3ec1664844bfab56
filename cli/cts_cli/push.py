"""Push a configuration: show what changes, ask if tasks would be removed or stopped, upload."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import typer

from cts.config import bundle
from cts.config.api_tasks import of_told
from cts.config.blocks.model import WrittenSecret
from cts.config.compile import Compiled, compile_bundle
from cts.config.limits import OverLimit
from cts_cli import answer, difference, output, plans, problems, secrets, validate, waits, words
from cts_cli.aws import Newest, Stack
from cts_cli.client import Api, Reader
from cts_cli.difference import Difference
from cts_cli.errors import CommandError, NotFound
from cts_cli.import_facts import environment
from cts_cli.plans import Holding
from cts_cli.screen import Console, Text
from cts_cli.secrets import Kept
from cts_cli.validate import Checked

INTERRUPTED = "The push was made and will be processed: see `cts status`."
NOT_PUSHED = "Nothing was pushed."
OVERTAKEN = "Another push was made in the meantime, so this one was not: comparing again"


@dataclass(frozen=True, slots=True)
class Prepared:
    what: str
    """A description for messages."""
    checked: Checked
    """The files to push, checked."""
    secrets: Sequence[WrittenSecret] = ()
    title: Sequence[str] = ()
    """Lines to print before anything else."""
    question: str = ""
    """Asked even if every task stays."""


@dataclass(frozen=True, slots=True)
class How:
    yes: bool
    """Remove and stop tasks without asking."""
    wait: bool
    as_json: bool
    holding: Holding = Holding.NONE


def prepare(checked: Checked, stack: Stack) -> Prepared:
    """Prepare the push of a configuration that has no problems."""
    pushed = validate.as_pushed(checked, stack.environment)
    try:
        bundle.unpacked(bundle.archive(pushed.files))  # as the publisher will
    except OverLimit as error:
        raise CommandError(str(error)) from error
    what = words.count(len(pushed.files), "file")
    return Prepared(what, pushed, checked.to_move)


def refuse_invalid(checked: Checked, as_json: bool) -> None:
    """Exit with code 1 if there are problems."""
    if not checked.result.problems:
        return
    if as_json:
        output.print_json({"outcome": "invalid", **checked.facts})
    else:
        validate.print_checked(output.out(), checked)
        output.err().print(NOT_PUSHED)
    raise typer.Exit(1)


def dry_run(stack: Stack, reader: Reader, prepared: Prepared, *, as_json: bool) -> None:
    """Show what a push would change."""
    if not as_json:
        _tell(prepared)
        _tell_missing(stack, prepared)
    _, changes = _compared(stack, reader, prepared)
    if as_json:
        output.print_json({"outcome": "dry-run", **difference.facts(changes)})
    else:
        difference.print_difference(output.out(), changes)
        output.err().print(NOT_PUSHED)


@dataclass(frozen=True, slots=True)
class Pushed:
    version: str
    changes: Difference
    began: datetime
    secrets: Mapping[str, Any]
    """The secrets that were moved, for JSON output."""
    held: Sequence[str]
    """Tasks that run once they are released."""


def run(stack: Stack, reader: Reader, prepared: Prepared, how: How) -> int:
    """Returns the exit code."""
    refuse_invalid(prepared.checked, how.as_json)
    if how.holding is not Holding.NONE:
        Api(stack)  # an older stack would not hold them
    if not how.as_json:
        _tell(prepared)
        _tell_missing(stack, prepared)
    pushed = _push(stack, reader, prepared, how)
    if pushed is None:
        if how.as_json:
            output.print_json({"outcome": "not-pushed"})
        output.err().print(NOT_PUSHED)
        return 1
    what = f"pushed {prepared.what}"
    facts = {"source_version": pushed.version, "held": pushed.held, **pushed.secrets}
    if not how.wait:
        if how.as_json:
            output.print_json({"outcome": "pushed", **facts})
        else:
            output.out().print(f"{what}; see `cts status` for the result")
            if pushed.held:
                plans.tell_unplanned(pushed.held)
        return 0
    given = _answered(stack, reader, pushed.version, what)
    is_live = given.outcome is waits.Outcome.PUBLISHED
    if not how.as_json:
        took = words.span((words.now() - pushed.began).total_seconds())
        files, told = prepared.checked.files, prepared.checked.warnings
        answer.print_answer(given, files, took, pushed.changes, told)
    planned = _planned(stack, reader, pushed.held, how) if is_live else []
    if how.as_json:
        output.print_json({"outcome": given.outcome, "plans": planned, **facts, **given.facts})
    return 0 if is_live and plans.are_made(planned) else 1


def _planned(
    stack: Stack, reader: Reader, held: Sequence[str], how: How
) -> Sequence[Mapping[str, Any]]:
    if not held:
        return []
    with interruptible(f"What was pushed stays held: {', '.join(held)}."):
        planned = plans.show(Api(stack), reader, held, as_json=how.as_json)
    if not how.as_json:
        plans.tell_next(planned)
    return planned


def _push(stack: Stack, reader: Reader, prepared: Prepared, how: How) -> Pushed | None:
    """Compare, ask and push; start over if someone else pushes first. None if the user says no."""
    tries: list[Kept] = []
    while True:
        newest, changes = _compared(stack, reader, prepared)
        if not how.as_json:
            difference.print_difference(output.out(), changes)
        if not (how.yes or _agreed(changes, prepared.question)):
            return None
        began = words.now()
        assert prepared.checked.result.compiled
        held = plans.held(how.holding, changes, prepared.checked.result.compiled.tasks)
        # Before the bundle, which must never refer to a secret that does not exist yet.
        tries.append(secrets.move(stack, prepared.secrets))
        if not how.as_json:
            _tell_kept(tries[-1])
        files = bundle.holding(prepared.checked.files, held)
        version = stack.put_bundle(bundle.archive(files), newest)
        if version is not None:
            return Pushed(version, changes, began, _facts(tries), held)
        output.err().print(OVERTAKEN)


def _compared(stack: Stack, reader: Reader, prepared: Prepared) -> tuple[Newest | None, Difference]:
    """The last push, and what a push right after it would change."""
    assert prepared.checked.result.compiled
    with interruptible(NOT_PUSHED):
        ticks = waits.every(1.0, waits.LONGEST_ANSWER)
        newest = waits.until_answered(reader, stack.newest_bundle, ticks, output.err().print)
    return newest, difference.compare(
        reader.live(), _as_published(stack, reader, prepared), prepared.checked.result.compiled
    )


def _as_published(stack: Stack, reader: Reader, prepared: Prepared) -> Compiled:
    """With what people have made of tasks through the API, as the publisher compiles it. What does
    not fit together it rejects, and says why."""
    pushed = prepared.checked.result.compiled
    assert pushed
    try:
        made = reader.get("configuration", "changes")
    except NotFound:  # an older stack
        return pushed
    tasks = of_told(made["changes"])
    if not tasks:
        return pushed
    found = compile_bundle(prepared.checked.files, stack.environment, tasks, made["gone"])
    return found.compiled or pushed


def _tell(prepared: Prepared) -> None:
    console = output.out()
    for line in prepared.title:
        console.print(line, soft_wrap=True)
    _tell_warnings(console, prepared.checked.warnings_beside_tasks)


def _tell_missing(stack: Stack, prepared: Prepared) -> None:
    references = environment(prepared.checked.result.configuration)
    for group, names in secrets.missing(stack, references, prepared.secrets).items():
        are, them = ("is", "it") if len(names) == 1 else ("are", "them")
        missing = f"{', '.join(names)} {are} missing from the stack's {group} secret"
        text = f"{missing}: add {them} with {words.set_secrets(names, group)}"
        output.print_paragraph(output.out(), Text(text), problems.WARNING)


def _tell_warnings(console: Console, warnings: Sequence[Mapping[str, Any]]) -> None:
    """Briefly: options that are not needed are only counted, because they come up on every push."""
    shown = [each for each in warnings if not validate.is_unneeded(each)]
    problems.print_briefly(console, shown, problems.WARNING)
    if unneeded := len(warnings) - len(shown):
        text = f"{words.count(unneeded, 'option')} not needed here: see `cts validate` for details"
        output.print_line(console, " ", "dim", text)


def _agreed(changes: Difference, question: str) -> bool:
    ends = difference.ends(changes)
    if not (ends or question):
        return True
    if not is_interactive():
        what = f"this would {ends}" if ends else "this must be confirmed"
        raise CommandError(f"{what}; there is no terminal to ask on, so pass --yes to confirm")
    try:
        return output.is_confirmed(difference.question(changes) if ends else question)
    except typer.Abort as error:
        output.err().print(f"\n{NOT_PUSHED}")
        raise typer.Exit(130) from error


def _tell_kept(kept: Kept) -> None:
    console = output.out()
    for group, names in kept.items():
        told = [f"{name} (replaced)" if replaced else name for name, replaced in names.items()]
        text = f"stored in the stack's {group} secret: {', '.join(told)}"
        output.print_line(console, "✓", "green", text)


def _facts(tries: Sequence[Kept]) -> dict[str, Any]:
    """Every try stored the same secrets."""
    names = {group: [*found] for group, found in tries[-1].items()}
    replaced = {
        group: [name for name in found if any(each[group][name] for each in tries)]
        for group, found in names.items()
    }
    return {"secrets": names, "replaced_secrets": {g: each for g, each in replaced.items() if each}}


def _answered(stack: Stack, reader: Reader, version: str, pushed: str) -> waits.Answer:
    text = f"{pushed}, waiting for the publisher"
    with interruptible(INTERRUPTED), output.progress(text) as progress:
        ticks = waits.every(1.0, waits.LONGEST_ANSWER)
        return waits.for_answer(reader, stack.newest_bundle, version, ticks, progress.tell)


@contextmanager
def interruptible(said: str) -> Iterator[None]:
    """Let Ctrl-C end a wait. `said` tells the user what happens without it."""
    try:
        yield
    except KeyboardInterrupt as error:
        output.err().print(f"Interrupted. {said}".rstrip())
        raise typer.Exit(130) from error


def is_interactive() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()  # None: it was closed
