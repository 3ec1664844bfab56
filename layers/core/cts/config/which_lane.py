"""Which lane a task's runs take, as `serverless` says."""

from collections.abc import Iterator, Sequence

from cts.config.blocks.model import Configuration, Serverless, Task
from cts.config.define import define
from cts.config.modules.task_variables import Given
from cts.config.rules.problem import Code, Problem, Where
from cts.terraform.definition import Module
from cts.terraform.warm import obstacles

WARM, AUTO = "warm", "auto"
LANES = (AUTO, WARM, "build")


def lane(task: Task, configuration: Configuration) -> str:
    """`warm` or `build`; empty: it is chosen for each run."""
    written = _block(task, configuration).lane or ""
    return "" if written == AUTO else written


def check_lanes(configuration: Configuration, variables: Sequence[Given]) -> Iterator[Problem]:
    """Lanes that don't exist, and tasks that the warm lane is not for."""
    for block in (configuration.serverless, *(task.serverless for task in configuration.tasks)):
        if block and block.lane and block.lane not in LANES:
            what, fix = f'"{block.lane}" is not a lane', f"write one of {', '.join(LANES)}"
            yield block.where.problem(Code.INVALID_VALUE, what, fix, option="lane")
    for task, given_to in zip(configuration.tasks, variables, strict=True):
        block = _block(task, configuration)
        found = _obstacles(task, configuration, given_to) if block.lane == WARM else None
        if found:
            what = f'task "{task.name}" can\'t run in the warm lane: {found}'
            fix = f'write lane = "{AUTO}" in the serverless block of this task'
            yield block.where.problem(Code.INVALID_VALUE, what, fix, option="lane")


def _block(task: Task, configuration: Configuration) -> Serverless:
    """The one that says it."""
    own, defaults = task.serverless, configuration.serverless
    return next((each for each in (own, defaults) if each and each.lane), Serverless(Where()))


def _obstacles(task: Task, configuration: Configuration, given_to: Given) -> str | None:
    module = Module(task.module, task.version)
    definition = define(task, configuration, module, given_to.values)
    if definition.cloud:
        return 'with driver "terraform-cloud" a run has no lane'
    return next(obstacles(definition), None)
