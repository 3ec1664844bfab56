"""The file of `cts task create`: one task block, as the API accepts it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cts.config.blocks.finalize import finalize
from cts.config.blocks.model import Configuration, Task
from cts.config.bundle import CONFIGURATION
from cts.config.modules.tfvars import read_variables
from cts.config.rules.problem import Problem
from cts.config.task_object import DEFAULTS, shown
from cts.config.text.read import read as read_text
from cts.terraform import hclwrite
from cts_cli.errors import CommandError
from cts_cli.paths import explaining_errors

ALWAYS = frozenset({"name", "module", "condition", "variables"})
"""Fields that are sent even if they have their default value."""
FORMER = {
    "source": "module",
    "source_input": "module_input",
    "source_includes_var": "use_as_module_input in the condition",
    "services": 'condition "services" or module_input "services"',
}
"""What the API does not accept, and what to write."""


def read(path: Path) -> dict[str, Any]:
    """The Task object. Raises CommandError."""
    content, name = _content(path)
    configuration, found = read_text(content, path.name)
    if found.problems:
        raise CommandError("\n".join(map(_told, found.problems)))
    written = _one(configuration, name)
    _refuse_former(written, name)
    [final] = finalize(configuration, {}).tasks
    if not final.name:
        raise CommandError(f"task file '{name}': the task has no name: write name = \"...\"")
    task = {
        key: value
        for key, value in shown(final, written).items()
        if key in ALWAYS or value != DEFAULTS.get(key)
    }
    task["variables"] = {**task["variables"], **_from_files(final, name)}
    return task


def _content(path: Path) -> tuple[bytes, str]:
    name = str(path)
    if not path.name.endswith(CONFIGURATION):
        raise CommandError(f"unable to read task file '{name}': it must be an .hcl or .json file")
    with explaining_errors():
        return path.read_bytes(), name


def _told(problem: Problem) -> str:
    path = f" {problem.path}" if problem.path else ""
    return f"{problem.place}{path}: {problem.what}" + (f": {problem.fix}" if problem.fix else "")


def _one(configuration: Configuration, name: str) -> Task:
    count = len(configuration.tasks)
    if count == 1:
        return configuration.tasks[0]
    if count:
        raise CommandError(
            f"task file '{name}' cannot contain more than 1 task, contains {count} tasks"
        )
    raise CommandError(
        f"task file '{name}' does not contain a task, must contain at least one task"
    )


def _refuse_former(task: Task, name: str) -> None:
    used = [option for option in FORMER if getattr(task, option, None) not in (None, "", ())]
    if used:
        told = [f"{each} is not accepted here: write {FORMER[each]}" for each in used]
        raise CommandError(f"task file '{name}': " + "\n".join(told))


def _from_files(task: Task, name: str) -> Mapping[str, str]:
    """The variables of the task's files, which are read on this machine."""
    variables: dict[str, str] = {}
    for file in task.variable_files:
        with explaining_errors():
            content = Path(file).read_bytes()
        values, problems = read_variables(content, file)
        if problems:
            told = "\n".join(map(_told, problems))
            raise CommandError(f"task file '{name}' is invalid: {told}")
        variables |= {key: hclwrite.value(value) for key, value in values.items()}
    return variables
