"""Printing. Results go to standard output, everything else to standard error."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from rich.status import Status

from cts.build.masking import masked
from cts.run.error_text import error_line
from cts_cli import words
from cts_cli.screen import Console, Text
from cts_cli.shown import LINES, each_text, printable

PIPED_WIDTH = 200
"""Columns when the output is not a terminal, so that nothing is cut off."""
INDENT = "    "
RUN_LOOKS = {
    "pending": ("running", "cyan"),
    "applied": ("applied", "green"),
    "planned_and_finished": ("unchanged", "green"),
    "planned": ("planned", "green"),
    "moved": ("moved", "green"),
    "busy": ("busy", "yellow"),
    "errored": ("errored", "red"),
    "canceled": ("canceled", "dim"),
}


def out() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    return console


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    print(json.dumps(each_text(value, masked), indent=2))


def is_confirmed(question: str) -> bool:
    """Ask on standard error. Raises typer.Abort if the input ends."""
    return typer.confirm(printable(question), err=True)


def hidden_answer(question: str) -> str:
    """Ask without showing what is typed. Raises typer.Abort if the input ends."""
    return str(typer.prompt(printable(question), hide_input=True, err=True))


@dataclass(slots=True)
class Progress:
    """A spinner to show during a wait. Without a terminal, each new text is printed as a line."""

    console: Console
    status: Status
    text: str = ""

    def tell(self, text: str) -> None:
        if text == self.text:
            return
        self.text = text
        self.status.update(Text(text))
        if not self.console.is_terminal:
            self.console.print(Text(text))

    def show(self, text: str) -> None:
        """Print part of the result during the wait."""
        self.status.stop()
        print(printable(text, LINES), end="" if text.endswith("\n") else "\n", flush=True)
        self.status.start()


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    console = err()
    with console.status("") as status:
        shown = Progress(console, status)
        shown.tell(text)
        yield shown


def print_line(console: Console, mark: str, style: str, text: str) -> None:
    """Print a line with a mark. If the mark is a space, the style applies to the whole line."""
    body = (text, style) if mark == " " else text
    console.print(Text.assemble((f"{mark} ", style), body), soft_wrap=True)


def print_paragraph(console: Console, text: Text, mark: tuple[str, str] = ("", "")) -> None:
    """Print text of any length, indented or with a mark, and wrapped at words in a terminal."""
    first = Text.assemble((f"{mark[0]} ", mark[1])) if mark[0] else Text(INDENT)
    rest = Text(" " * first.cell_len)
    lines = text.wrap(console, console.width - first.cell_len) if console.is_terminal else [text]
    for number, each in enumerate(lines):
        console.print(Text.assemble(rest if number else first, each), soft_wrap=True)


def resource_changes(counts: Mapping[str, int] | None) -> Text:
    """Resource counts such as `+2 ~1`, coloured."""
    styles = {"+": "green", "~": "yellow", "-": "red"}
    changes = words.changes(counts)
    if changes[:1] not in styles:
        return Text(changes, "dim")
    found = Text()
    for each in changes.split(" "):
        found.append(" " if found else "").append(each, styles.get(each[0]))
    return found


def what_is_live(configuration: Mapping[str, Any]) -> str:
    live = configuration["live"]
    return f"generation {live['generation']} stays live" if live else "nothing is live yet"


def print_ended(run: Mapping[str, Any]) -> None:
    """Print one line that says how a run ended and how long each step took."""
    word, style = RUN_LOOKS[run["status"]]
    mark = {"errored": "✗", "busy": "…"}.get(run["status"], "✓")
    text = Text.assemble((f"{mark} {run['id']}: {word}", style))
    if changes := words.changes(run["counts"]):
        text.append(f", {changes}")
    if run["error"]:
        text.append(f": {error_line(run['error'])}")
    steps = [f"{step} {words.span(took)}" for step, took in run["seconds"].items()]
    if steps:
        text.append(f"  ({' · '.join(steps)})", "dim")
    err().print(text)
