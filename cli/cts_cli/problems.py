"""What is wrong with a configuration, on the screen: the place, the line itself, what is wrong,
and what would be right. A line with a secret is never shown."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cts.config.model import Secret
from cts.config.problem import Code, Place
from cts_cli.output import INDENT, print_paragraph

Files = Mapping[str, bytes]
Line = tuple[str, int]
"""A file and a line of it."""

TAB = 4
CUT = "…"
UNPRINTABLE = "�"
PROBLEM = ("✗", "red")
WARNING = ("!", "yellow")
SECRET_INSIDE = {Code.LITERAL_SECRET.value}
UNREAD = {Code.SYNTAX.value, Code.WRONG_TYPE.value}
"""Of such a line it is not known what is a secret."""
MAY_BE_SECRET = re.compile(r"token|pass|pwd|secret|credential|private|key\b", re.IGNORECASE)


def secret_lines(secrets: Iterable[Secret], files: Files) -> set[Line]:
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


def print_with_lines(
    console: Console,
    problems: Sequence[Mapping[str, Any]],
    look: tuple[str, str],
    files: Files,
    hidden: Collection[Line] = (),
) -> None:
    """`hidden`: the lines that are never shown."""
    mark, style = look
    names = {each["file"] for each in problems if each["file"] in files}
    texts = {name: files[name].decode(errors="replace").split("\n") for name in names}
    for problem in problems:
        console.print(Text.assemble((f"{mark} ", style), _heading(problem)), soft_wrap=True)
        source = _source_line(problem, texts)
        if source is not None and (problem["file"], problem["line"]) not in hidden:
            line, pointer = _around(source, problem["column"], console.width - len(INDENT))
            console.print(Text(f"{INDENT}{line}", "cyan"), soft_wrap=True)
            console.print(Text(f"{INDENT}{pointer}", style), soft_wrap=True)
        print_paragraph(console, Text(problem["what"], style))
        if problem["fix"]:
            print_paragraph(console, Text.assemble(("→ ", "green"), problem["fix"]))
        console.print()


def print_briefly(
    console: Console, problems: Iterable[Mapping[str, Any]], look: tuple[str, str]
) -> None:
    for problem in problems:
        told = Text.assemble(_heading(problem), f": {problem['what']}")
        print_paragraph(console, told, look)


def _heading(problem: Mapping[str, Any]) -> Text:
    place = str(Place(problem["file"], problem["line"], problem["column"]))
    path = f"  {problem['path']}" if problem["path"] else ""
    return Text.assemble((place, "bold"), (path, "dim"))


def _source_line(problem: Mapping[str, Any], texts: Mapping[str, list[str]]) -> str | None:
    """None if there is none, or it may hold a secret that nobody knows of."""
    lines, number, code = texts.get(problem["file"], []), problem["line"], problem["code"]
    if not 0 < number <= len(lines) or code in SECRET_INSIDE:
        return None
    text = lines[number - 1]
    return None if code in UNREAD and MAY_BE_SECRET.search(text) else text.rstrip()


def _around(text: str, column: int, width: int) -> tuple[str, str]:
    """As much of the line around a column as there is room for, and what points to it."""
    before = _printable(text[: column - 1][-width - 1 :])
    behind = _printable(text[column - 1 :][: width + 1])
    if cell_len(before) + cell_len(behind) > width:
        room = width - len(CUT) * 2
        if cell_len(before) > room // 2:
            before = CUT + _ending(before, room // 2)
        rest = room - cell_len(before)
        if cell_len(behind) > rest:
            behind = _beginning(behind, rest) + CUT
    return before + behind, " " * cell_len(before) + "^"


def _printable(text: str) -> str:
    """A terminal would act on other characters, or give them a width of its own."""
    tabs = text.expandtabs(TAB)
    return "".join(each if each.isprintable() else UNPRINTABLE for each in tabs)


def _beginning(text: str, width: int) -> str:
    """No more of it than there are columns: wide characters take two."""
    text = text[:width]
    while cell_len(text) > width:
        text = text[:-1]
    return text


def _ending(text: str, width: int) -> str:
    text = text[-width:]
    while cell_len(text) > width:
        text = text[1:]
    return text
