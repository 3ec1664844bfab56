"""Check a configuration locally, with the same code that the publisher uses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cts.config import bundle
from cts.config.blocks.model import WrittenSecret
from cts.config.compile import Result, compile_bundle
from cts.config.moving import moved
from cts.config.rules.problem import Code
from cts.config.text.comments import without_comments
from cts_cli import problems, sources, words
from cts_cli.output import print_line, print_paragraph
from cts_cli.paths import working_directory
from cts_cli.screen import Console, Text

IN_THE_BUNDLE = {Code.FILE_MISSING, Code.MODULE_MISSING, Code.OUTSIDE_BUNDLE}
"""Problems with paths."""
OF_FILES = {"cert": "a certificate", "key": "a private key", "credentials": "credentials"}
"""What is in the file that an option names."""


@dataclass(frozen=True, slots=True)
class Checked:
    """`result` is that of the unmodified files, including their secrets."""

    files: Mapping[str, bytes]
    result: Result
    hint: str = ""
    """A possible reason, if files are not found."""

    @property
    def problems(self) -> list[dict[str, Any]]:
        return [each.as_json() for each in self.result.problems]

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return [each.as_json() for each in self.result.warnings]

    @property
    def warnings_beside_tasks(self) -> list[dict[str, Any]]:
        """Without the warnings about tasks that do not run yet: the list of tasks shows these."""
        waiting = {f"task.{name}" for name in self.waiting}
        return [
            each
            for each in self.warnings
            if each["code"] != Code.NOT_SUPPORTED_YET or each["path"] not in waiting
        ]

    @property
    def unneeded(self) -> list[dict[str, Any]]:
        """The warnings that only say that an option has no effect here: there is nothing to do."""
        return [each for each in self.warnings if is_unneeded(each)]

    @property
    def waiting(self) -> list[str]:
        """Tasks that would be accepted but do not run yet. With problems nothing is compiled, so
        only the warnings tell."""
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
        """The secrets that a push moves: not those it is rejected for, or leaves out."""
        problems = self.result.problems
        refused = {each.place for each in problems if each.code is Code.LITERAL_SECRET}
        found = (each for each in self.result.secrets if not each.is_ignored)
        return [each for each in found if each.where.place not in refused]

    @property
    def left_out(self) -> list[WrittenSecret]:
        """The secrets that have no effect, which a push does not store."""
        return [each for each in self.result.secrets if each.is_ignored]


def is_unneeded(warning: Mapping[str, Any]) -> bool:
    return warning["code"] == Code.NOT_NEEDED and not warning["fix"]


def check(paths: Sequence[Path]) -> Checked:
    """Raises CommandError if there is no configuration."""
    found = sources.find(paths)
    hint = _hint(paths[0]) if found.is_folder and not paths[0].samefile(working_directory()) else ""
    return Checked(found, compile_bundle(found), hint)


def _hint(folder: Path) -> str:
    return (
        f"paths in these files are relative to '{folder}'; CTS reads them relative to the folder "
        f"it is started in: to do the same, pass the files themselves, such as {folder}/*.hcl"
    )


def as_pushed(checked: Checked, environment: Mapping[str, str]) -> Checked:
    """The files as they are pushed, compiled as the publisher will compile them: only the files
    that the configuration refers to, with references instead of secrets, and without comments."""
    configuration, secrets = checked.result.configuration, checked.result.secrets
    files = moved(bundle.packed(checked.files, configuration), secrets)
    files = without_comments(files, configuration)
    return Checked(files, compile_bundle(files, environment))


def print_checked(console: Console, checked: Checked) -> None:
    """Print warnings, secrets and problems, then a summary."""
    result = checked.result
    hidden = problems.secret_lines(result.secrets, checked.files)
    lines = problems.Lines(checked.files, [*checked.warnings, *checked.problems], hidden)
    warnings = [each for each in checked.warnings if not is_unneeded(each)]
    problems.print_with_lines(console, warnings, problems.WARNING, lines)
    for secret in (*checked.to_move, *checked.left_out):
        _secret(console, secret)
    problems.print_with_lines(console, checked.problems, problems.PROBLEM, lines)
    if checked.hint and any(each.code in IN_THE_BUNDLE for each in result.problems):
        print_paragraph(console, Text(checked.hint, "dim"), problems.WARNING)
        console.print()
    if unneeded := checked.unneeded:
        paths, are = (
            ", ".join(each["path"] for each in unneeded),
            "is" if len(unneeded) == 1 else "are",
        )
        told = f"{words.count(len(unneeded), 'option')} {are} not needed here: {paths}"
        print_paragraph(console, Text(f"{told} (`cts import` says why)", "dim"), ("·", "dim"))
    mark, style = problems.PROBLEM if result.problems else ("✓", "green")
    print_line(console, mark, style, summary(checked))


def _secret(console: Console, secret: WrittenSecret) -> None:
    mark, style = problems.WARNING
    where = secret.where
    heading = problems.heading(str(where.place), where.path)
    console.print(Text.assemble((f"{mark} ", style), heading), soft_wrap=True)
    print_paragraph(console, Text(_told(secret), style))
    console.print()


def _told(secret: WrittenSecret) -> str:
    if secret.is_ignored:
        return "a secret that has no effect: `cts push` leaves it out"
    option = secret.where.path.rpartition(".")[2]
    what = OF_FILES.get(option, "a secret file") if secret.is_file else "a secret"
    return f"{what}: `cts push` moves it to the stack's {secret.group} secret as {secret.name}"


def summary(checked: Checked) -> str:
    """`2 problems, 1 warning` or `valid: 3 tasks in 2 files, 1 would run, 1 warning`."""
    result = checked.result
    tasks, notes = words.count(len(result.configuration.tasks), "task"), list[str]()
    if warnings := len(result.warnings) - len(checked.unneeded):
        notes.append(words.count(warnings, "warning"))
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
