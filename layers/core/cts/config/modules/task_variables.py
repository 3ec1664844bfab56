"""The variables that a task's module is given, from the four places that may set them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from cts.build.references import RESOLVED
from cts.config import bundle, limits
from cts.config.blocks.model import Configuration, Serverless, Task
from cts.config.blocks.options import Findings
from cts.config.bundle import Files
from cts.config.modules.local import LocalModules
from cts.config.modules.tfvars import names, read_expression, read_variables
from cts.config.rules.problem import Code, Place, Problem, Where
from cts.config.rules.references import mistakes
from cts.config.rules.warnings import secret_variables
from cts.config.text.tree import BOM, Lines
from cts.terraform.definition import VariableFile
from cts.terraform.references import has_resolved
from cts.terraform.root import module_values

Variables: TypeAlias = dict[str, Any]
Part: TypeAlias = Variables | VariableFile
"""What one of the places says."""
BEFORE = "a variable file that only Terraform can evaluate sets it too"
AS_IT_IS = "only Terraform can evaluate this file, and gets it as it is"
EACH_VARIABLE = 100
"""Bytes that a variable takes for each task that has it, whatever its value."""


@dataclass(frozen=True, slots=True)
class Given:
    """A task's variables: those whose values are known here, and what counts more than these."""

    values: Variables
    files: tuple[VariableFile, ...]

    @property
    def names(self) -> set[str]:
        return {*self.values, *(name for file in self.files for name in file.names)}


def given(
    configuration: Configuration, files: Files, known: LocalModules
) -> tuple[list[Given], Findings]:
    """The variables of each task, and what is wrong with them. Raises OverLimit.

    The later place wins: the top level's defaults, where the module has such a variable; the
    task's `variables`; its files in their order; what its `serverless` block says.
    """
    found = Findings()
    named = {name for task in configuration.tasks for name in _files(task) if name in files}
    sizes = {name: len(files[name]) for name in named}
    limits.check_size("the variable files", sizes, limits.LARGEST_VARIABLES)
    read = {name: _read(files[name], name, found) for name in sorted(named)}
    defaults = _inline(configuration.serverless, found)
    _check_weight(configuration, known, read, defaults)
    made: list[Given] = []
    for task in configuration.tasks:
        module = known.get(task.module)
        declared = module.variables if module else None
        values = {k: v for k, v in defaults.items() if declared is None or k in declared}
        values |= _expressions(task, found)
        in_files = [read[name] for name in _files(task) if name in read]
        own = _inline(task.serverless, found)
        made.append(_together([values, *in_files, own]))
        found.problems.extend(_unresolved(task, in_files, own))
    return made, found


def _check_weight(
    configuration: Configuration,
    known: LocalModules,
    read: Mapping[str, Part],
    defaults: Variables,
) -> None:
    """Raises OverLimit if the variables of all tasks are too many, or too large."""
    weights = {name: _weight(part) for name, part in read.items()}
    declared = {
        source: EACH_VARIABLE * len(module.variables or ()) for source, module in known.items()
    }
    total, of_all = 0, _weight(defaults)
    for task in configuration.tasks:
        total += of_all + declared.get(task.module, 0)
        total += sum(weights.get(name, 0) for name in _files(task))
        if total > limits.LARGEST_GIVEN:
            limits.too_much_given("variables", task.name)


def _weight(part: Part) -> int:
    if isinstance(part, VariableFile):
        return len(part.text) + EACH_VARIABLE * len(part.names)
    return limits.weight(part) + EACH_VARIABLE * len(part)


def _read(content: bytes, name: str, found: Findings) -> Part:
    """The file's variables, or the unchanged file if only Terraform can evaluate it."""
    values, problems = read_variables(content, name)
    wrong = [each for each in problems if each.code is not Code.NOT_CHECKED]
    found.problems.extend(wrong)
    if wrong or not problems:
        where, lines = Where("", Place(name)), Lines(content.decode(errors="replace"), name)
        found.warnings.extend(secret_variables(values, where))
        found.problems.extend(mistakes(values, where, templates=False, file=lines))
        return values
    found.warnings.append(_not_checked(problems[0]))
    text = content.decode().removeprefix(BOM)
    if reference := RESOLVED.search(text):
        place = Lines(text, name).place(reference.start())
        what = f"this reference is not looked up: {AS_IT_IS}"
        fix = "move the variable to another file"
        found.problems.append(Problem(place, "", Code.TEMPLATE, what, fix))
    return VariableFile(names(text, name), text)


def _not_checked(problem: Problem) -> Problem:
    what = (
        f"this can't be read here ({problem.what}), so nothing in this file is checked, not even "
        "for secrets; Terraform gets the file as it is"
    )
    return replace(problem, what=what)


def _together(parts: list[Part]) -> Given:
    """A later part overrides an earlier one, and Terraform reads files last."""
    values: Variables = {}
    files: list[VariableFile] = []
    for part in parts:
        if isinstance(part, VariableFile):
            files.append(part)
        else:
            plain = {k: v for k, v in part.items() if files and not has_resolved(v)}
            if plain:
                files.append(VariableFile(tuple(sorted(plain)), module_values(plain)))
            values |= {k: v for k, v in part.items() if k not in plain}
    return Given(values, tuple(files))


def _unresolved(task: Task, in_files: list[Part], own: Variables) -> Iterator[Problem]:
    """References that a file before them overrides, because only Terraform can evaluate it: it
    reads such files last."""
    earlier: set[str] = set()
    for part in (*in_files, own):
        if isinstance(part, VariableFile):
            earlier |= {*part.names}
            continue
        for name in sorted(earlier & part.keys()):
            if has_resolved(part[name]):
                what = f'the reference in the variable "{name}" would have no effect: {BEFORE}'
                fix = "set it in one place only"
                yield task.where.problem(Code.VARIABLE_FILE, what, fix, option="variable_files")


def _files(task: Task) -> Iterator[str]:
    names = (bundle.inside(path) for path in task.variable_files)
    return (name for name in names if name is not None)


def _inline(serverless: Serverless | None, found: Findings) -> Variables:
    if not serverless:
        return {}
    found.warnings.extend(secret_variables(serverless.variables, serverless.where.at("variables")))
    return dict(serverless.variables)


def _expressions(task: Task, found: Findings) -> Variables:
    """CTS's own `variables`, whose texts are expressions: a string has quotes inside."""
    values: Variables = {}
    for name, text in task.variables.items():
        where = task.where.at(f"variables.{name}")
        values[name], problems = read_expression(text, where.place, where.path)
        found.problems.extend(problems)
        found.problems.extend(mistakes({"": values[name]}, where, templates=False))
    found.warnings.extend(secret_variables(values, task.where.at("variables")))
    return values
