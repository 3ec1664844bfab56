"""Which events trigger a task, as `serverless` says."""

from collections.abc import Iterator

from cts.conditions.condition import Condition
from cts.config.blocks.model import Configuration, Serverless, Task
from cts.config.define import define
from cts.config.rules.problem import Code, Problem
from cts.terraform.definition import Module
from cts.watch.happened import Happened

EVENTS = tuple(each.value for each in Happened)


def events(task: Task, configuration: Configuration, condition: Condition) -> tuple[str, ...]:
    """Those that trigger it; empty: all that its condition has."""
    block, every = _block(task, configuration), condition.events
    chosen = block.events if block else None
    found = tuple(each.value for each in every if chosen is None or each in chosen)
    return found if len(found) < len(every) else ()


def check_events(configuration: Configuration) -> Iterator[Problem]:
    """What is wrong with the lists, and with the tasks that nothing would trigger."""
    for each in (configuration.serverless, *(task.serverless for task in configuration.tasks)):
        if each and each.events is not None:
            yield from _words(each, each.events)
    for task in configuration.tasks:
        block = _block(task, configuration)
        if block and block.events and set(block.events) <= {*EVENTS}:
            condition = define(task, configuration, Module(task.module), {}).condition
            yield from _never(task, block, condition)


def _block(task: Task, configuration: Configuration) -> Serverless | None:
    blocks = (task.serverless, configuration.serverless)
    return next((each for each in blocks if each and each.events is not None), None)


def _words(block: Serverless, chosen: tuple[str, ...]) -> Iterator[Problem]:
    problem, fix = block.where.problem, f"write some of {', '.join(EVENTS)}"
    if not chosen:
        what = "no event is listed"
        yield problem(Code.INVALID_VALUE, what, fix, option="events")
    for n, event in enumerate(chosen):
        if event not in EVENTS:
            what = f'"{event}" is not an event'
            yield problem(Code.INVALID_VALUE, what, fix, option=f"events[{n}]")


def _never(task: Task, block: Serverless, condition: Condition) -> Iterator[Problem]:
    """A default need not suit a task that looks at nothing."""
    every = condition.events
    if any(each in (block.events or ()) for each in every):
        return
    if not every and block is not task.serverless:
        return
    what = f'none of these events can trigger task "{task.name}"'
    fix = f"write some of {', '.join(every)}" if every else "remove it"
    if Happened.HEALTH in (block.events or ()) and condition.with_health("any").events != every:
        fix += ', or health = "any"'
    yield block.where.problem(Code.INVALID_VALUE, what, fix, option="events")
