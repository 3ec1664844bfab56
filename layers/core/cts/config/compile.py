"""A bundle to what runs: definitions by digest, module archives, and a generation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cts.config import bundle
from cts.config.bundle import Files
from cts.config.define import define, waits_for
from cts.config.finalize import Environment, finalize
from cts.config.given import given
from cts.config.merge import merge
from cts.config.model import Configuration, Secret, Task
from cts.config.modules import check_modules, declarations
from cts.config.notes import notes
from cts.config.problem import Code, Place, Problem, without_followers
from cts.config.read import read
from cts.config.secrets import named
from cts.config.validate import validate
from cts.terraform.definition import (
    BufferPeriod,
    Definition,
    Generation,
    Module,
    TaskEntry,
    Waiting,
)
from cts.watch.query import ServicesCondition

CONTRACT = 2
"""Raised when the same sources compile to something else: they are then published again."""


@dataclass(frozen=True, slots=True)
class Compiled:
    tasks: dict[str, TaskEntry] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    """By digest."""
    modules: dict[str, bytes] = field(default_factory=dict)
    """The zip of each local module, by the digest of its content."""


@dataclass(frozen=True, slots=True)
class Result:
    """Without problems there is something compiled; warnings hinder nothing."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    configuration: Configuration
    """With every default."""
    secrets: tuple[Secret, ...] = ()
    """What `cts push` must move before a bundle may be stored."""
    compiled: Compiled | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """Task names, sorted. A changed task is one that runs again."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def compile_bundle(files: Files, environment: Environment | None = None) -> Result:
    """Check a bundle and compile it, or say all that is wrong with it.

    `environment`: the deployment's, for CTS's environment fallbacks.
    """
    listed = bundle.configuration_files(files)
    names = [name for name in listed if name in files]
    read_files = [read(files[name], name) for name in names]
    merged = merge(configuration for configuration, _ in read_files)
    final = finalize(merged, environment or {})
    known = declarations(final, files)
    variables, beside = given(final, files, known)
    problems, warnings = beside.problems, beside.warnings
    if not names:
        problems.append(_nothing_to_read(files))
    problems += [_not_there(name) for name in listed if name not in files]
    for _, found in read_files:
        problems += found.problems
        warnings += found.warnings
    problems += validate(final)
    problems += check_modules(final, files, known, variables)
    warnings += notes(merged, final)
    problems = without_followers(problems)
    compiled = None if problems else _compile(final, files, variables)
    if compiled:
        warnings += _waiting(final, compiled)
    return Result(
        problems=_in_order(problems, names),
        warnings=_in_order(_elsewhere(warnings, problems), names),
        configuration=final,
        secrets=named(merged.secrets, files),
        compiled=compiled,
    )


def _elsewhere(warnings: list[Problem], problems: list[Problem]) -> list[Problem]:
    """The warnings about what has no problem already."""
    wrong = {(problem.place, problem.path) for problem in problems}
    return [each for each in warnings if (each.place, each.path) not in wrong]


def _in_order(problems: list[Problem], names: list[str]) -> tuple[Problem, ...]:
    """By file, in the order files are read, then by position. What is said twice counts once."""
    ranks = {name: rank for rank, name in enumerate(names)}

    def order(problem: Problem) -> tuple[int, str, int, int]:
        place = problem.place
        return (ranks.get(place.file, len(ranks)), place.file, place.line, place.column)

    return tuple(sorted(dict.fromkeys(problems), key=order))


def generation(
    compiled: Compiled, number: int, sources: Mapping[str, str], former: str = ""
) -> Generation:
    """The generation of this number. `sources`: object key -> version id; `former`: the digest of
    the generation it takes the place of."""
    return Generation(number, CONTRACT, dict(sources), compiled.tasks, compiled.waiting, former)


def differences(old: Generation | None, new: Generation | Compiled) -> Differences:
    """What the new generation does to the tasks of the old one. A task that had to wait and now
    runs is a changed one."""
    before, after = _runs(old) if old else {}, _runs(new)
    both = before.keys() & after.keys()
    return Differences(
        added=tuple(sorted(after.keys() - both)),
        changed=tuple(sorted(name for name in both if before[name] != after[name])),
        removed=tuple(sorted(before.keys() - both)),
    )


def _runs(of: Generation | Compiled) -> dict[str, tuple[str, bool]]:
    """Each task's definition, and whether it has to wait."""
    waiting = {name: (task.definition, True) for name, task in of.waiting.items()}
    return waiting | {name: (entry.definition, False) for name, entry in of.tasks.items()}


def _nothing_to_read(files: Files) -> Problem:
    deeper = any(name.endswith(bundle.CONFIGURATION) for name in files)
    fix = "put at least one .hcl or .json file at the top of the bundle"
    if deeper:
        fix += ": those in folders are not read"
    return Problem(Place("bundle"), "", Code.NOTHING_TO_READ, "no configuration files found", fix)


def _not_there(name: str) -> Problem:
    what, fix = f'the bundle has no file "{name}"', f"see the bundle's {bundle.SOURCES}"
    return Problem(Place(bundle.SOURCES), "", Code.FILE_MISSING, what, fix)


def _compile(
    configuration: Configuration, files: Files, variables: Mapping[str, dict[str, Any]]
) -> Compiled:
    modules, archives = _modules(configuration.tasks, files)
    compiled = Compiled(modules=archives)
    for task in configuration.tasks:
        name = task.name or ""
        module = modules.get(task.module or "") or Module(task.module or "", task.version or "")
        definition = define(task, configuration, module, variables[name])
        compiled.definitions[definition.digest] = definition
        if reasons := tuple(waits_for(definition)):
            compiled.waiting[name] = Waiting(definition.digest, reasons)
        else:
            compiled.tasks[name] = _entry(task, definition)
    return compiled


def _waiting(configuration: Configuration, compiled: Compiled) -> list[Problem]:
    by_name = {task.name: task for task in configuration.tasks}
    return [
        by_name[name].where.problem(
            Code.NOT_SUPPORTED_YET,
            f'task "{name}" is accepted and does not run yet: it needs {", ".join(task.reasons)}',
        )
        for name, task in compiled.waiting.items()
    ]


def _modules(tasks: tuple[Task, ...], files: Files) -> tuple[dict[str, Module], dict[str, bytes]]:
    """Each local module by what a task calls it, and the archives by digest."""
    modules: dict[str, Module] = {}
    archives: dict[str, bytes] = {}
    for source in {task.module for task in tasks if task.module and bundle.is_local(task.module)}:
        folder = bundle.inside(source) or "."
        content = bundle.module_files(files, folder)
        digest = bundle.content_digest(content)
        archives[digest] = bundle.archive(content)
        modules[source] = Module("./" if folder == "." else f"./{folder}", digest=digest)
    return modules, archives


def _entry(task: Task, definition: Definition) -> TaskEntry:
    buffer, condition = task.buffer_period, definition.condition
    assert isinstance(condition, ServicesCondition)  # any other has to wait
    return TaskEntry(
        definition=definition.digest,
        condition=condition,
        description=task.description or "",
        enabled=bool(task.enabled),
        buffer=BufferPeriod(buffer.min or 0.0, buffer.max or 0.0)
        if buffer and buffer.enabled
        else None,
    )
