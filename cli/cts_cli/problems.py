"""What is wrong with a configuration, as JSON and on the screen: the place, the line itself, what
is wrong, and what would be right. A line with a secret is never shown."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cts.config.model import Secret
from cts.config.problem import Code, Problem
from cts_cli.output import INDENT, paragraph

Files = Mapping[str, bytes]
Line = tuple[str, int]
"""A file and a line of it."""

TAB = 4
CUT = "…"
PROBLEM = ("✗", "red")
WARNING = ("!", "yellow")
SECRET_INSIDE = {Code.LITERAL_SECRET.value}
UNREAD = {Code.SYNTAX.value, Code.WRONG_TYPE.value}
"""Of such a line it is not known what is a secret."""
MAY_BE_SECRET = re.compile(r"token|pass|pwd|secret|credential|private|key\b", re.IGNORECASE)


def plain(problem: Problem) -> dict[str, Any]:
    """As the reader answers it."""
    return {
        **asdict(problem.place),
        "path": problem.path,
        "code": problem.code.value,
        "what": problem.what,
        "fix": problem.fix,
    }


def hidden(secrets: Iterable[Secret], files: Files) -> set[Line]:
    """The lines that hold a secret."""
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


def show(
    console: Console,
    problems: Iterable[Mapping[str, Any]],
    look: tuple[str, str],
    files: Files,
    unseen: Iterable[Line] = (),
) -> None:
    mark, style = look
    for problem in problems:
        path = f"  {problem['path']}" if problem["path"] else ""
        heading = Text.assemble((f"{mark} ", style), (place(problem), "bold"), (path, "dim"))
        console.print(heading, soft_wrap=True)
        if (text := _source_line(problem, files, {*unseen})) is not None:
            shown, pointer = _around(text, problem["column"], console.width - len(INDENT))
            console.print(Text(f"{INDENT}{shown}", "cyan"), soft_wrap=True)
            console.print(Text(f"{INDENT}{pointer}", style), soft_wrap=True)
        paragraph(console, Text(problem["what"], style))
        if problem["fix"]:
            paragraph(console, Text.assemble(("→ ", "green"), problem["fix"]))
        console.print()


def briefly(console: Console, problems: Iterable[Mapping[str, Any]], look: tuple[str, str]) -> None:
    for problem in problems:
        path = f"  {problem['path']}" if problem["path"] else ""
        told = Text.assemble((place(problem), "bold"), (path, "dim"), f": {problem['what']}")
        paragraph(console, told, look)


def place(problem: Mapping[str, Any]) -> str:
    if not problem["line"]:
        return str(problem["file"])
    return f"{problem['file']}:{problem['line']}:{problem['column']}"


def _source_line(problem: Mapping[str, Any], files: Files, unseen: set[Line]) -> str | None:
    file, line, code = str(problem["file"]), int(problem["line"]), problem["code"]
    if not line or file not in files or code in SECRET_INSIDE or (file, line) in unseen:
        return None
    lines = files[file].decode(errors="replace").split("\n")
    if line > len(lines) or (code in UNREAD and MAY_BE_SECRET.search(lines[line - 1])):
        return None
    return lines[line - 1].rstrip()


def _around(text: str, column: int, width: int) -> tuple[str, str]:
    """As much of the line around a column as there is room for, and what points to it."""
    before, behind = text[: column - 1].expandtabs(TAB), text[column - 1 :].expandtabs(TAB)
    if cell_len(before) + cell_len(behind) > width:
        room = width - len(CUT) * 2
        before = before if cell_len(before) <= room // 2 else CUT + before[-(room // 2) :]
        rest = room - cell_len(before)
        behind = behind if cell_len(behind) <= rest else behind[:rest] + CUT
    return before + behind, " " * cell_len(before) + "^"
