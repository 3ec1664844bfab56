"""A bundle to what runs: definitions by digest, module archives, and a generation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from cts.config import bundle, limits
from cts.config.api_tasks import Layered, Tasks, layered, size_of
from cts.config.blocks.finalize import Environment, finalize
from cts.config.blocks.merge import merge
from cts.config.blocks.model import Configuration, Task, WrittenSecret
from cts.config.blocks.schema import Group, walk
from cts.config.blocks.terraform_blocks import stays_behind
from cts.config.bundle import Files
from cts.config.configured import check_versions, unknown_versions
from cts.config.define import check_weight, define, former_state, waits_for
from cts.config.limits import MOST_FINDINGS, OverLimit
from cts.config.modules.local import (
    LocalModules,
    check_modules,
    local_modules,
    secrets_in_modules,
    unreadable_modules,
)
from cts.config.modules.named_files import Bundled, consul_certificates
from cts.config.modules.task_variables import Given, given
from cts.config.modules.vault_tls import vault_tls
from cts.config.moving import named
from cts.config.rules.hcp import check_hostname
from cts.config.rules.problem import Code, Place, Problem, beside_no_problem, without_followers
from cts.config.rules.validate import validate
from cts.config.rules.warnings import warn
from cts.config.task_object import hidden, shown
from cts.config.text.comments import secret_comments
from cts.config.text.read import read
from cts.config.text.secret_comments import IN_COMMENT
from cts.config.which_events import check_events, events
from cts.config.which_lane import check_lanes, lane
from cts.config.written import listed, not_there, nothing_to_read
from cts.generation import BufferPeriod, Generation, TaskEntry, Waiting
from cts.terraform.archive import content_digest
from cts.terraform.definition import Definition, Module

CONTRACT = 10
"""Raised when the same sources compile to something else: they are then published again."""


@dataclass(frozen=True, slots=True)
class Compiled:
    tasks: dict[str, TaskEntry] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    """By digest."""
    modules: dict[str, bytes] = field(default_factory=dict)
    """The zip of each local module, by the digest of its content."""
    former_state: str = ""
    """As in a generation."""
    shown: list[dict[str, Any]] = field(default_factory=list)
    """The Task objects of the API, in its order."""
    gone: Mapping[str, str] = field(default_factory=dict)
    """As in `Current`."""


@dataclass(frozen=True, slots=True)
class Result:
    """Without problems there is something compiled; warnings hinder nothing."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    configuration: Configuration
    """With every default."""
    secrets: tuple[WrittenSecret, ...] = ()
    """What `cts push` must move before a bundle may be stored."""
    compiled: Compiled | None = None


def compile_bundle(
    files: Files,
    environment: Environment | None = None,
    tasks: Tasks | None = None,
    gone: Mapping[str, str] | None = None,
) -> Result:
    """Check a bundle and compile it, or say all that is wrong with it.

    `environment`: the deployment's, for CTS's environment fallbacks. `tasks`: what people have made
    of tasks through the API, and `gone`: the changes that the generation before has ended.
    """
    try:
        return _compiled(files, environment or {}, tasks or {}, gone or {})
    except OverLimit as error:
        return Result((error.problem,), (), finalize(merge([]), environment or {}))


def _compiled(
    files: Files, environment: Environment, tasks: Tasks, gone: Mapping[str, str]
) -> Result:
    """Raises OverLimit."""
    wanted = listed(files)
    names = [name for name in wanted if name in files]
    texts = [read(files[name], name) for name in names]
    merged = merge(configuration for configuration, _ in texts)
    if len(merged.secrets) > limits.MOST_SECRETS:
        what = f"more than {limits.MOST_SECRETS:,} secrets are written in the configuration"
        raise OverLimit(what, "write references to them, {{ env ... }}")
    limits.check_size("the tasks of the API", size_of(tasks), limits.LARGEST_CONFIGURATION)
    final = finalize(merged, environment)
    laid = layered(merged, final, tasks, gone)
    if tasks:
        final = finalize(laid.configuration, environment)
    check_weight(final)
    modules = local_modules(final, files)
    variables, in_variables = given(final, files, modules)
    problems = without_followers(_first("problems", chain(
        () if names or tasks else [nothing_to_read(files)],
        (not_there(name) for name in wanted if name not in files),
        (problem for _, found in texts for problem in found.problems),
        laid.findings.problems,
        in_variables.problems,
        validate(final),
        check_events(final),
        check_lanes(final, variables),
        check_modules(final, files, modules, [each.names for each in variables]),
        check_versions(final, modules),
        check_hostname(final, environment),
    )))  # fmt: skip
    compiled = None if problems else _compile(final, files, modules, variables, laid)
    warnings = _first("warnings", chain(
        (warning for _, found in texts for warning in found.warnings),
        laid.findings.warnings,
        in_variables.warnings,
        warn(laid.configuration, final),
        _waiting(final),
        unreadable_modules(final, modules),
        secrets_in_modules(final, modules),
        unknown_versions(final, modules),
        _in_comments(final, files),
        _left_behind(merged, files),
        consul_certificates(merged.consul, Bundled(files)),
    ))  # fmt: skip
    return Result(
        problems=_in_order(problems, names),
        warnings=_in_order(beside_no_problem(warnings, problems), names),
        configuration=final,
        secrets=named(merged.secrets, files, _effective(final)) if merged.secrets else (),
        compiled=compiled,
    )


def _first(what: str, found: Iterator[Problem]) -> list[Problem]:
    """Those that are reported, and one that says that there are more."""
    first = [*islice(found, MOST_FINDINGS + 1)]
    if len(first) > MOST_FINDINGS:
        more = f"only the first {MOST_FINDINGS} {what} are reported, and there are more"
        first[MOST_FINDINGS:] = [Problem(Place("bundle"), "", Code.OVER_LIMIT, more)]
    return first


def _left_behind(merged: Configuration, files: Files) -> Iterator[Problem]:
    """Files of credentials whose content is moved, and that are not there."""
    named = (each for each in merged.secrets if each.is_file and not each.is_ignored)
    for secret in named:
        is_credentials = secret.group is Group.TASK and not secret.where.path.startswith("vault.")
        if is_credentials and bundle.inside(secret.value) not in files:
            yield stays_behind(secret.where)


def _in_comments(configuration: Configuration, files: Files) -> Iterator[Problem]:
    """`cts push` takes comments out, but they are in the files, and may be pushed otherwise."""
    fix = "`cts push` leaves comments out: delete it anyway"
    for place in secret_comments(files, configuration):
        yield Problem(place, "", Code.LITERAL_SECRET, IN_COMMENT, fix)


def _effective(configuration: Configuration) -> dict[str, Any]:
    """The value of each option in the end, by its path."""
    found = {block.where.at(key).path: value for block, key, _, value in walk(configuration)}
    maps = ((path, value) for path, value in found.items() if isinstance(value, Mapping))
    return found | {f"{path}.{name}": each for path, value in maps for name, each in value.items()}


def _in_order(problems: list[Problem], names: list[str]) -> tuple[Problem, ...]:
    """By file, in the order files are read, then by position. What is said twice counts once."""
    ranks = {name: rank for rank, name in enumerate(names)}

    def order(problem: Problem) -> tuple[int, str, int, int]:
        place = problem.place
        return (ranks.get(place.file, len(ranks)), place.file, place.line, place.column)

    return tuple(sorted(dict.fromkeys(problems), key=order))


def generation(
    compiled: Compiled,
    number: int,
    sources: Mapping[str, str],
    former: str = "",
    shown: str = "",
    changes: str = "",
) -> Generation:
    """The generation of this number. `sources`: object key -> version id; `former`: the digest of
    the generation it replaces; `shown`, `changes`: as in a generation."""
    return Generation(
        number=number,
        contract=CONTRACT,
        sources=dict(sources),
        tasks=compiled.tasks,
        waiting=compiled.waiting,
        former=former,
        former_state=compiled.former_state,
        shown=shown,
        changes=changes,
    )


def _compile(
    configuration: Configuration,
    files: Files,
    local: LocalModules,
    variables: Sequence[Given],
    laid: Layered,
) -> Compiled:
    modules, archives = _modules(local)
    tls = vault_tls(configuration.vault, files)
    compiled = Compiled(
        modules=archives,
        former_state=former_state(configuration),
        shown=[
            hidden(shown(task, written))
            for task, written in zip(configuration.tasks, laid.configuration.tasks, strict=True)
            if task.name not in laid.drafts
        ],
        gone=laid.gone,
    )
    for task, given_to in zip(configuration.tasks, variables, strict=True):
        name = task.name
        module = modules.get(task.module) or Module(task.module, task.version)
        definition = define(task, configuration, module, given_to.values)
        definition = replace(definition, variable_files=given_to.files)
        if found := local.get(task.module):
            definition = replace(definition, constants=found.constants)
        if definition.vault:
            definition = replace(definition, vault={**definition.vault, **tls})
        digest = definition.digest
        compiled.definitions[digest] = definition
        created = name in laid.created
        if reasons := tuple(waits_for(definition)):
            compiled.waiting[name] = Waiting(digest, reasons, created)
        else:
            triggers = events(task, configuration, definition.condition)
            required = found.required_version if found else ""
            entry = _entry(task, definition, digest, triggers, required)
            entry = replace(entry, lane=lane(task, configuration))
            is_draft = name in laid.drafts
            enabled = entry.enabled and not is_draft
            entry = replace(entry, leaving=laid.leaving.get(name, ""))
            compiled.tasks[name] = replace(entry, draft=is_draft, created=created, enabled=enabled)
    return compiled


def _waiting(configuration: Configuration) -> Iterator[Problem]:
    """What a task has to wait for, whether or not there are problems to fix first."""
    for task in configuration.tasks:
        definition = define(task, configuration, Module(task.module), {})
        if reasons := [*waits_for(definition)]:
            what = f'task "{task.name}" is accepted, but does not run yet: it needs '
            yield task.where.problem(Code.NOT_SUPPORTED_YET, what + ", ".join(reasons))


def _modules(local: LocalModules) -> tuple[dict[str, Module], dict[str, bytes]]:
    """Each local module by what a task calls it, and the archives by digest."""
    modules: dict[str, Module] = {}
    archives: dict[str, bytes] = {}
    for source, module in local.items():
        folder = bundle.inside(source) or "."
        digest = content_digest(module.files)
        if digest not in archives:
            archives[digest] = bundle.archive(module.files)
        modules[source] = Module("./" if folder == "." else f"./{folder}", digest=digest)
    return modules, archives


def _entry(
    task: Task, definition: Definition, digest: str, triggers: tuple[str, ...], required: str
) -> TaskEntry:
    buffer = task.buffer_period
    return TaskEntry(
        definition=digest,
        condition=definition.condition,
        inputs=definition.inputs,
        description=task.description,
        enabled=task.enabled,
        buffer=BufferPeriod(buffer.min or 0.0, buffer.max or 0.0)
        if buffer and buffer.enabled
        else None,
        driver=definition.driver,
        workspace=definition.workspace,
        events=triggers,
        required_version=required,
    )
