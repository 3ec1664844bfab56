"""The variables that a task's module is given, from the four places that may set them."""

from collections.abc import Iterator
from typing import Any

from cts.config import bundle
from cts.config.bundle import Files
from cts.config.model import Configuration, Serverless, Task
from cts.config.modules import LocalModules
from cts.config.options import Findings
from cts.config.problem import Place, Where
from cts.config.tfvars import read_expression, read_variables
from cts.config.warnings import secret_variables

Variables = dict[str, Any]


def given(
    configuration: Configuration, files: Files, known: LocalModules
) -> tuple[list[Variables], Findings]:
    """The variables of each task, and what is wrong with them.

    The later place wins: the top level's defaults, where the module has such a variable; the
    task's `variables`; its files in their order; what its `serverless` block says.
    """
    found = Findings()
    names = {name for task in configuration.tasks for name in _files(task) if name in files}
    read: dict[str, Variables] = {}
    for name in sorted(names):
        read[name], problems = read_variables(files[name], name)
        found.problems.extend(problems)
        found.warnings.extend(secret_variables(read[name], Where("", Place(name))))
    defaults = _inline(configuration.serverless, found)
    made: list[Variables] = []
    for task in configuration.tasks:
        module = known.get(task.module)
        declared = module.variables if module else None
        values = {k: v for k, v in defaults.items() if declared is None or k in declared}
        values |= _expressions(task, found)
        for name in _files(task):
            values |= read.get(name, {})
        made.append(values | _inline(task.serverless, found))
    return made, found


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
    found.warnings.extend(secret_variables(values, task.where.at("variables")))
    return values
