"""A configuration, checked on this machine with the code that publishes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from cts.config import bundle
from cts.config.comments import without_comments
from cts.config.compile import Result, compile_bundle
from cts.config.model import WrittenSecret
from cts.config.problem import Code
from cts.config.secrets import moved
from cts_cli import problems, sources, words
from cts_cli.output import print_line, print_paragraph

IN_THE_BUNDLE = {Code.FILE_MISSING, Code.MODULE_MISSING, Code.OUTSIDE_BUNDLE}
"""What is wrong with a path."""


@dataclass(frozen=True, slots=True)
class Checked:
    """`result` is that of the files as they are: with their secrets in them."""

    files: Mapping[str, bytes]
    result: Result
    hint: str = ""
    """What may be behind it if files are not found."""

    @property
    def problems(self) -> list[dict[str, Any]]:
        return [each.as_json() for each in self.result.problems]

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return [each.as_json() for each in self.result.warnings]

    @property
    def warnings_beside_tasks(self) -> list[dict[str, Any]]:
        """Without that a task does not run yet: lists of tasks tell it."""
        waiting = {f"task.{name}" for name in self.waiting}
        return [
            each
            for each in self.warnings
            if each["code"] != Code.NOT_SUPPORTED_YET or each["path"] not in waiting
        ]

    @property
    def waiting(self) -> list[str]:
        """The tasks that would be accepted and not run yet. Beside problems nothing is compiled,
        and only the warnings tell."""
        if self.result.compiled:
            return [*self.result.compiled.waiting]
        told = {each.path for each in self.result.warnings if each.code is Code.NOT_SUPPORTED_YET}
        names = [task.name for task in self.result.configuration.tasks]
        return [name for name in names if f"task.{name}" in told]

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "valid": not self.result.problems,
            "problems": self.problems,
            "warnings": self.warnings,
            "secrets": [secret.name for secret in self.to_move],
        }

    @property
    def to_move(self) -> list[WrittenSecret]:
        """The secrets that a push moves: none that it is refused for."""
        problems = self.result.problems
        refused = {each.place for each in problems if each.code is Code.LITERAL_SECRET}
        return [each for each in self.result.secrets if each.where.place not in refused]


def check(paths: Sequence[Path]) -> Checked:
    """Raises CommandError if there is no configuration."""
    found = sources.find(paths)
    hint = _hint(paths[0]) if found.is_folder and not paths[0].samefile(Path.cwd()) else ""
    return Checked(found, compile_bundle(found), hint)


def _hint(folder: Path) -> str:
    return (
        f"paths in these files begin at '{folder}'; for CTS they begin where it is started: "
        f"then name the files themselves, such as {folder}/*.hcl"
    )


def as_pushed(checked: Checked, environment: Mapping[str, str]) -> Checked:
    """What is pushed of it: what the configuration names, with references in the place of secrets
    and nothing in comments. And what the publisher makes of just that."""
    configuration, secrets = checked.result.configuration, checked.result.secrets
    files = moved(bundle.packed(checked.files, configuration), secrets)
    files = without_comments(files, configuration)
    return Checked(files, compile_bundle(files, environment))


def print_checked(console: Console, checked: Checked) -> None:
    """Warnings, secrets, problems; and in the end how many there are."""
    result = checked.result
    hidden = problems.secret_lines(result.secrets, checked.files)
    lines = problems.Lines(checked.files, [*checked.warnings, *checked.problems], hidden)
    problems.print_with_lines(console, checked.warnings, problems.WARNING, lines)
    for secret in checked.to_move:
        _secret(console, secret)
    problems.print_with_lines(console, checked.problems, problems.PROBLEM, lines)
    if checked.hint and any(each.code in IN_THE_BUNDLE for each in result.problems):
        print_paragraph(console, Text(checked.hint, "dim"), problems.WARNING)
        console.print()
    mark, style = problems.PROBLEM if result.problems else ("✓", "green")
    print_line(console, mark, style, summary(checked))


def _secret(console: Console, secret: WrittenSecret) -> None:
    mark, style = problems.WARNING
    where = secret.where
    heading = problems.heading(str(where.place), where.path)
    console.print(Text.assemble((f"{mark} ", style), heading), soft_wrap=True)
    what = "a private key" if secret.is_file else "a secret"
    told = f"{what}: `cts push` moves it to the stack's {secret.group} secret, as {secret.name}"
    print_paragraph(console, Text(told, style))
    console.print()


def summary(checked: Checked) -> str:
    """`2 problems, 1 warning` or `valid: 3 tasks in 2 files, 1 would run, 1 warning`."""
    result = checked.result
    tasks, notes = words.count(len(result.configuration.tasks), "task"), list[str]()
    if result.warnings:
        notes.append(words.count(len(result.warnings), "warning"))
    if checked.to_move:
        notes.append(f"{words.count(len(checked.to_move), 'secret')} to move")
    run = would_run(checked)
    if result.problems:
        told = [words.count(len(result.problems), "problem"), *notes]
        return ", ".join(told) + (f"; of {tasks}, {run}" if checked.waiting else "")
    files = words.count(len(bundle.configuration_files(checked.files)), "file")
    told = [f"valid: {tasks} in {files}", *([run] if checked.waiting else [])]
    return ", ".join([*told, *notes])


def would_run(checked: Checked) -> str:
    run = len(checked.result.configuration.tasks) - len(checked.waiting)
    return f"{run or 'none'} would run"
