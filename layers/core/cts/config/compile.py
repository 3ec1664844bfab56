"""A bundle to what runs: definitions by digest, module archives, and a generation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cts.config import bundle
from cts.config.bundle import Files
from cts.config.finalize import global_buffer, task_buffer
from cts.config.merge import merge
from cts.config.model import Configuration, Services, Task
from cts.config.problem import Code, Place, Problem
from cts.config.read import read
from cts.config.validate import validate, warn
from cts.config.variables import read_variables
from cts.terraform.definition import BufferPeriod, Definition, Generation, Module, TaskEntry
from cts.watch.query import ServicesCondition

CONTRACT = 1
"""Raised when the same sources compile to something else: they are then published again."""


@dataclass(frozen=True, slots=True)
class Compiled:
    tasks: dict[str, TaskEntry] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    """By digest."""
    modules: dict[str, bytes] = field(default_factory=dict)
    """The zip of each local module, by the digest of its content."""
    """None: the deployment's."""


@dataclass(frozen=True, slots=True)
class Result:
    """Without problems there is something compiled; warnings hinder nothing."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    compiled: Compiled | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """Task names, sorted. A changed task is one that runs again."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def compile_bundle(files: Files) -> Result:
    """Check a bundle and compile it, or say all that is wrong with it."""
    names = bundle.configuration_files(files)
    if not names:
        return Result((_nothing_to_read(files),))
    configurations, problems = [], []
    for name in names:
        configuration, found = read(files[name], name)
        configurations.append(configuration)
        problems += found
    whole = merge(configurations)
    variables, found = _variables(whole, files)
    problems += [*found, *validate(whole, files)]
    return Result(
        problems=tuple(sorted(problems, key=lambda problem: problem.order)),
        warnings=tuple(sorted(warn(whole), key=lambda problem: problem.order)),
        compiled=None if problems else _compile(whole, files, variables),
    )


def generation(compiled: Compiled, number: int, sources: Mapping[str, str]) -> Generation:
    """The generation of this number. `sources`: object key -> version id."""
    return Generation(number, CONTRACT, dict(sources), compiled.tasks)


def differences(old: Generation | None, new: Generation) -> Differences:
    """What the new generation does to the tasks of the old one."""
    before = old.tasks if old else {}
    both = before.keys() & new.tasks.keys()
    changed = (name for name in both if before[name].definition != new.tasks[name].definition)
    return Differences(
        added=tuple(sorted(new.tasks.keys() - both)),
        changed=tuple(sorted(changed)),
        removed=tuple(sorted(before.keys() - both)),
    )


def _nothing_to_read(files: Files) -> Problem:
    deeper = any(name.endswith(bundle.CONFIGURATION) for name in files)
    fix = "put at least one .hcl or .json file at the top of the bundle"
    if deeper:
        fix += ": those in folders are not read"
    return Problem(Place("bundle"), "", Code.NOTHING_TO_READ, "no configuration files found", fix)


def _variables(
    configuration: Configuration, files: Files
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Each variable file that a task names, by name in the bundle."""
    paths = {path for task in configuration.tasks for path in task.variable_files}
    names = {name for path in paths if (name := bundle.inside(path)) in files and name}
    read_files = {name: read_variables(files[name], name) for name in names}
    problems = [problem for _, found in read_files.values() for problem in found]
    return {name: values for name, (values, _) in read_files.items()}, problems


def _compile(
    configuration: Configuration, files: Files, variables: Mapping[str, dict[str, Any]]
) -> Compiled:
    modules, archives = _modules(configuration.tasks, files)
    compiled = Compiled(modules=archives)
    parent = global_buffer(configuration.buffer)
    for task in configuration.tasks:
        given = [variables[bundle.inside(path) or ""] for path in task.variable_files]
        definition = Definition(
            task=task.name,
            module=modules.get(task.module) or Module(task.module, task.version),
            condition=_condition(task.condition),
            variables={name: value for values in given for name, value in values.items()},
        )
        compiled.definitions[definition.digest] = definition
        compiled.tasks[task.name] = _entry(task, definition, task_buffer(task.buffer, parent))
    return compiled


def _modules(tasks: tuple[Task, ...], files: Files) -> tuple[dict[str, Module], dict[str, bytes]]:
    """Each local module by what a task calls it, and the archives by digest."""
    modules: dict[str, Module] = {}
    archives: dict[str, bytes] = {}
    for source in {task.module for task in tasks if bundle.is_local(task.module)}:
        folder = bundle.inside(source) or "."
        content = bundle.module_files(files, folder)
        digest = bundle.content_digest(content)
        archives[digest] = bundle.archive(content)
        modules[source] = Module("./" if folder == "." else f"./{folder}", digest=digest)
    return modules, archives


def _entry(task: Task, definition: Definition, buffer: BufferPeriod | None) -> TaskEntry:
    return TaskEntry(
        definition=definition.digest,
        condition=definition.condition,
        description=task.description,
        enabled=task.enabled,
        buffer=buffer,
    )


def _condition(services: Services | None) -> ServicesCondition:
    """The order of names, and a name given twice, mean nothing."""
    assert services is not None  # validate() refuses a task without
    return ServicesCondition(tuple(sorted(set(services.names))), services.regexp)
