"""Print a configuration's problems: the place, the line itself, what is wrong, and how to fix it.
Lines that contain a secret are never shown."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from cts.config.blocks.model import WrittenSecret
from cts.config.rules.problem import Code, Place
from cts_cli import words
from cts_cli.output import INDENT, print_paragraph
from cts_cli.screen import Console, Text
from cts_cli.shown import may_hold_secret, printable, shown

Files = Mapping[str, bytes]
Line = tuple[str, int]
"""A file name and a line number."""

MOST_LISTED = 3
"""Problems listed where only the first ones are. The others are counted."""
TAB = 4
CUT = "…"
PROBLEM = ("✗", "red")
WARNING = ("!", "yellow")
SECRET_INSIDE = {Code.LITERAL_SECRET.value}
UNKNOWN = {Code.UNKNOWN_OPTION.value, Code.UNKNOWN_VARIABLE.value}
"""Unknown names: their values may be secrets."""
NAME = re.compile(r"""(?:[\w.-]+|"[^"]*"(?=\s*:))(?:\s*[=:])?""")
"""An option's name with its `=` or `:`. Other quoted text may be a value that lost its sign."""


def secret_lines(secrets: Iterable[WrittenSecret], files: Files) -> set[Line]:
    found: set[Line] = set()
    for secret in secrets:
        place = secret.where.place
        found.add((place.file, place.line))
        if secret.file in files:
            text = files[secret.file].decode(errors="replace")
            first = text.count("\n", 0, secret.start) + 1
            last = first + text.count("\n", secret.start, secret.end)
            found |= {(secret.file, line) for line in range(first, last + 1)}
    return found


class Lines:
    """The lines that problems refer to, as far as they may be shown."""

    def __init__(
        self, files: Files, told: Sequence[Mapping[str, Any]], hidden: Collection[Line] = ()
    ) -> None:
        """`told`: all problems and warnings; `hidden`: lines to never show."""
        names = {each["file"] for each in told if each["file"] in files}
        self._texts = {
            name: files[name].decode(errors="replace").split("\n")
            for name in names
            if b"\0" not in files[name]  # of a binary file, a line is no help
        }
        self._hidden = hidden
        self._unknown: dict[Line, int] = {}
        """The column of the first unknown name in a line."""
        for each in told:
            if each["code"] in UNKNOWN:
                line = each["file"], each["line"]
                column = self._unknown.get(line, each["column"])
                self._unknown[line] = min(column, each["column"])

    def of(self, problem: Mapping[str, Any]) -> str | None:
        """The problem's line; None if it does not exist, or may hold an undetected secret."""
        lines, line = self._texts.get(problem["file"], []), (problem["file"], problem["line"])
        hides = line in self._hidden or problem["code"] in SECRET_INSIDE
        if hides or not 0 < line[1] <= len(lines):
            return None
        text = lines[line[1] - 1].rstrip()
        if line in self._unknown:
            if problem["column"] > self._unknown[line]:
                return None
            text = _up_to_name(text, self._unknown[line] - 1)
        return None if may_hold_secret(text) else text


def _up_to_name(text: str, start: int) -> str:
    name = NAME.match(text, start)
    shown = text[: name.end() if name else start].rstrip()
    return text if shown == text else f"{shown} {CUT}"


def print_with_lines(
    console: Console, problems: Iterable[Mapping[str, Any]], look: tuple[str, str], lines: Lines
) -> None:
    mark, style = look
    for problem in problems:
        console.print(Text.assemble((f"{mark} ", style), _heading(problem)), soft_wrap=True)
        source = lines.of(problem)
        if source is not None:
            line, pointer = _around(source, problem["column"], console.width - len(INDENT))
            console.print(Text(f"{INDENT}{line}", "cyan"), soft_wrap=True)
            console.print(Text(f"{INDENT}{pointer}", style), soft_wrap=True)
        print_paragraph(console, Text(shown(problem["what"]), style))
        _print_fix(console, problem)
        console.print()


def brief(problem: Mapping[str, Any]) -> Text:
    """`tasks.hcl:12:3  task.web.module: what is wrong`."""
    return Text.assemble(_heading(problem), f": {shown(problem['what'])}")


def print_briefly(
    console: Console, problems: Iterable[Mapping[str, Any]], look: tuple[str, str]
) -> None:
    for problem in problems:
        print_paragraph(console, brief(problem), look)


def print_first(console: Console, problems: Sequence[Mapping[str, Any]], count: int) -> None:
    """Print the first of `count` problems briefly, with what to do, and count the others."""
    first = problems[:MOST_LISTED]
    for problem in first:
        print_paragraph(console, brief(problem), ("", ""))
        _print_fix(console, problem)
    if more := count - len(first):
        told = Text(f"and {words.count(more, 'more problem')}")
        print_paragraph(console, told.append("  (cts status --json)", "dim"))


def _print_fix(console: Console, problem: Mapping[str, Any]) -> None:
    if problem["fix"]:
        print_paragraph(console, Text.assemble(("→ ", "green"), shown(problem["fix"])))


def _heading(problem: Mapping[str, Any]) -> Text:
    place = str(Place(problem["file"], problem["line"], problem["column"]))
    return heading(place, problem["path"])


def heading(place: str, path: str) -> Text:
    """A problem's heading: its place and its option."""
    return Text.assemble((shown(place), "bold"), (f"  {shown(path)}" if path else "", "dim"))


def _around(text: str, column: int, width: int) -> tuple[str, str]:
    """As much of the line around the column as fits the width, and a pointer to the column."""
    before = _expanded(text[: column - 1][-width - 1 :])
    behind = _expanded(text[column - 1 :][: width + 1])
    if cell_len(before) + cell_len(behind) > width:
        room = width - len(CUT) * 2
        if cell_len(before) > room // 2:
            before = CUT + _ending(before, room // 2)
        rest = room - cell_len(before)
        if cell_len(behind) > rest:
            behind = _beginning(behind, rest) + CUT
    return before + behind, " " * cell_len(before) + "^"


def _expanded(text: str) -> str:
    return printable(text.expandtabs(TAB))


def _beginning(text: str, width: int) -> str:
    """The beginning that fits into that many columns; wide characters take two."""
    text = text[:width]
    while cell_len(text) > width:
        text = text[:-1]
    return text


def _ending(text: str, width: int) -> str:
    text = text[-width:]
    while cell_len(text) > width:
        text = text[1:]
    return text
