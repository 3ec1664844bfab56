"""The rules of a task. What its condition and its module inputs must keep, they know."""

from collections.abc import Iterator

from cts.conditions.registry import NOTHING
from cts.config.blocks.model import BufferBlock, CloudWorkspace, Task
from cts.config.rules.problem import Code, Problem
from cts.config.rules.terraform_version import check_version
from cts.terraform.hclwrite import is_name

EXECUTION_MODES = ("", "remote", "agent")


def check_tasks(tasks: tuple[Task, ...]) -> Iterator[Problem]:
    first: dict[str, Task] = {}
    for task in tasks:
        if task.name and first.setdefault(task.name, task) is not task:
            what = f'there is another task "{task.name}" at {first[task.name].where.place}'
            yield task.where.problem(Code.DUPLICATE_TASK, what, "rename one", option="name")
        yield from _name(task)
        yield from _provider_instances(task)
        yield from _workspace(task)
        yield from _inputs(task)
        yield from check_buffer(task.buffer_period)
        for block in (task.condition, *task.module_input):
            if block:
                yield from block.problems()


def check_buffer(buffer: BufferBlock | None) -> Iterator[Problem]:
    """An inherited `min` is reported where it is written."""
    written = buffer and buffer.enabled and "min" in buffer.where.options
    if buffer and written and buffer.min is not None and buffer.min < 0:
        yield buffer.where.problem(Code.INVALID_BUFFER, "min is below 0", "raise it", option="min")


def _name(task: Task) -> Iterator[Problem]:
    name = task.name
    if name and (name.startswith("-") or not name.replace("-", "_").isidentifier()):
        what = f'"{name}" is not a valid task name'
        fix = "begin with a letter or underscore, and only use those, digits and dashes"
        yield task.where.problem(Code.INVALID_TASK_NAME, what, fix, option="name")


def _provider_instances(task: Task) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for n, entry in enumerate(task.providers):
        name = entry.partition(".")[0]
        if not is_name(name):
            what = f'"{name}" is not a valid name of a provider'
            fix = "begin with a letter, and only use letters, digits and dashes"
            yield task.where.problem(Code.INVALID_VALUE, what, fix, option=f"providers[{n}]")
        if name in seen:
            what = f'"{seen[name]}" and "{entry}" are the same provider'
            fix = "a task can only use one instance of each provider"
            yield task.where.problem(Code.PROVIDER_TWICE, what, fix, option=f"providers[{n}]")
        seen.setdefault(name, entry)


def _workspace(task: Task) -> Iterator[Problem]:
    yield from check_version(task.terraform_version, task.where, "terraform_version")
    workspace = task.terraform_cloud_workspace
    if not workspace:
        return
    yield from check_version(workspace.terraform_version, workspace.where, "terraform_version")
    yield from _execution(workspace)


def _execution(workspace: CloudWorkspace) -> Iterator[Problem]:
    mode, problem = workspace.execution_mode, workspace.where.problem
    pool = workspace.agent_pool_id or workspace.agent_pool_name
    if mode not in EXECUTION_MODES:
        what, fix = f'"{mode}" is not an execution mode', 'write "remote" or "agent"'
        yield problem(Code.INVALID_VALUE, what, fix, option="execution_mode")
    elif mode == "agent" and not pool:
        what, fix = "the agent pool is missing", "set agent_pool_id or agent_pool_name"
        yield problem(Code.MISSING_OPTION, what, fix, option="agent_pool_id")
    elif mode != "agent" and pool:
        what = "an agent pool is only used in the execution mode agent"
        fix = 'write execution_mode = "agent"'
        yield problem(Code.INVALID_VALUE, what, fix, option="execution_mode")


def _inputs(task: Task) -> Iterator[Problem]:
    """Each of the module's variables is set by one block."""
    filled: dict[str, str] = {}
    if task.services:
        filled[NOTHING.variable] = "services"
    condition = task.condition.variable if task.condition else ""
    if condition and condition in filled:
        what = "both the list services and the condition set the module's services"
        yield task.where.problem(Code.DUPLICATE_INPUT, what, "keep only one", option="services")
    elif condition:
        filled[condition] = "the condition"
    for block in task.module_input:
        variable = block.variable
        if variable in filled:
            what = f"{filled[variable]} and this module_input both set the module's {variable}"
            yield block.where.problem(Code.DUPLICATE_INPUT, what, "keep only one")
        elif variable:
            filled[variable] = "another module_input"
