"""Lines in the form that CTS's own commands print, for people and scripts that are used to it.

Information goes to standard output, below `==> `. Of an error only that line goes to standard
error, and its details to standard output.
"""

import sys
import textwrap
from typing import NoReturn

import typer

from cts.build.masking import masked
from cts_cli.errors import ExitCode
from cts_cli.output import err, out
from cts_cli.screen import Console, Text
from cts_cli.shown import LINES, printable

WIDTH = 78
INTERRUPTED = 130
"""The exit code, as shells have it."""
PREFIX, INDENT = "==> ", "    "
SIGNS = (
    ("-/+", "red"),
    ("+/-", "red"),
    ("<=", "cyan"),
    ("+", "green"),
    ("~", "yellow"),
    ("-", "red"),
)
"""With which lines of a plan begin."""
HEADINGS = ("# ", "Plan: ")
APPROVE = "Only 'yes' will be accepted to approve, enter 'no' or leave blank to reject."


def info(text: str) -> None:
    first, *others = _lines(text)
    _print(out(), Text.assemble((PREFIX, "bold blue"), (first, "bold")))
    for line in others:
        detail(line)


def detail(text: str = "") -> None:
    for line in _lines(text):
        _print(out(), Text(f"{INDENT}{line}".rstrip()))


def plan(text: str) -> None:
    """A plan of Terraform's, with its signs coloured in a terminal."""
    for line in _lines(text):
        if line.lstrip().startswith(HEADINGS):
            _print(out(), Text(f"{INDENT}{line}", "bold"))
            continue
        signs, style = next(
            ((sign, style) for sign, style in SIGNS if line.lstrip().startswith(f"{sign} ")),
            ("", ""),
        )
        before, sign, behind = line.partition(signs) if signs else (line, "", "")
        shown = Text.assemble(f"{INDENT}{before}", (sign, style), behind)
        shown.rstrip()
        _print(out(), shown)


def _print(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True)


def fail(error: str, details: str = "", code: ExitCode = ExitCode.ERROR) -> NoReturn:
    first, *others = _lines(error)
    _print(err(), Text.assemble((f"{PREFIX}Error: ", "bold red"), first))
    for line in others:
        detail(line)
    for line in _lines(details) if details else ():
        for part in _wrapped(line):
            detail(part)
    raise typer.Exit(code)


def is_approved(question: str, *notes: str) -> bool:
    """Only `yes`, exactly, approves. Ctrl-C ends the command."""
    info(question)
    for note in notes:
        detail(f" - {note}")
    detail()
    detail(APPROVE)
    console = out()
    console.print("\nEnter a value: ", end="")
    try:
        answer = sys.stdin.readline() if sys.stdin else ""
    except KeyboardInterrupt as error:
        err().print("\nInterrupted. Nothing was changed.")
        raise typer.Exit(INTERRUPTED) from error
    if not answer:
        console.print()
        fail("asking for approval: end of input; pass -auto-approve for use in scripts")
    console.print()
    return answer.rstrip("\r\n") == "yes"


def _lines(text: str) -> list[str]:
    return printable(masked(text), LINES).split("\n")


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, break_long_words=False) or [""]
