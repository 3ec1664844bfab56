"""The rules about what a task names in the bundle: its module, its variables, their files."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import join, normpath
from typing import Any

from cts.conditions.registry import NOTHING, filled_by
from cts.config import bundle
from cts.config.blocks.model import Configuration, Task
from cts.config.blocks.schema import walk
from cts.config.bundle import Files
from cts.config.modules.declared import declared
from cts.config.modules.sources import broken_files, sources_outside
from cts.config.modules.terraform_file import Declared, terraform_files
from cts.config.rules.problem import Code, Problem, Where, did_you_mean
from cts.config.secrets import TEMPLATE
from cts.config.text.tree import ParseError

FOLDERS_SHOWN = 5
OR_SET = "set it in one of the variable_files, or in serverless { variables }"
MOST_ALIKE = 1000


@dataclass(frozen=True, slots=True)
class LocalModule:
    """A module of the bundle, looked at once for all tasks that use it."""

    files: Files
    variables: Mapping[str, Declared] | None
    """Those it declares; None where its files can't be read here."""
    outside: tuple[str, ...]
    """The modules that it uses from outside its own folder."""
    unread: ParseError | None = None
    """Why its files can't be read here."""
    broken: tuple[ParseError, ...] = ()
    """Where its files are not HCL for any reader."""

    @property
    def is_there(self) -> bool:
        return any(bundle.root_files(self.files))

    @property
    def constants(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, each in (self.variables or {}).items() if each.const))


LocalModules = Mapping[str, LocalModule]
"""By what a task calls them."""


def local_modules(configuration: Configuration, files: Files) -> LocalModules:
    sources = {task.module for task in configuration.tasks if bundle.is_local(task.module)}
    folders = {source: folder for source in sources if (folder := bundle.inside(source))}
    modules = {folder: _module(folder, files) for folder in {*folders.values()}}
    return {source: modules[folder] for source, folder in folders.items()}


def _module(folder: str, files: Files) -> LocalModule:
    module = bundle.module_files(files, folder)
    read = terraform_files(module)
    outside, broken = tuple(sources_outside(read)), tuple(broken_files(read))
    if broken:
        return LocalModule(module, None, outside, broken=broken)
    try:
        return LocalModule(module, declared(read), outside)
    except ParseError as error:
        return LocalModule(module, None, outside, unread=error)


def unreadable_modules(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    """What can't be read here: Terraform decides."""
    for task, module in _first_users(configuration, known):
        if module.unread:
            what = (
                f"this could not be read here ({module.unread.what}), so the module's variables "
                "were not checked: Terraform decides"
            )
            yield _in_module(task, module.unread, what, "try terraform validate")


def _broken_modules(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    for task, module in _first_users(configuration, known):
        for error in module.broken:
            yield _in_module(task, error, error.what, error.fix)


def _first_users(
    configuration: Configuration, known: LocalModules
) -> Iterator[tuple[Task, LocalModule]]:
    """Each module with the first task that uses it, so that problems are reported once."""
    first = {task.module: task for task in reversed(configuration.tasks)}
    yield from ((first[source], module) for source, module in known.items())


def _in_module(task: Task, error: ParseError, what: str, fix: str) -> Problem:
    """With its place in the bundle."""
    file = normpath(join(bundle.inside(task.module) or "", error.place.file))
    return Problem(
        replace(error.place, file=file), task.where.at("module").path, Code.SYNTAX, what, fix
    )


def check_modules(
    configuration: Configuration,
    files: Files,
    known: LocalModules,
    given: Sequence[Collection[str]],
) -> Iterator[Problem]:
    """What is wrong with modules and files. `given`: the names of each task's variables."""
    for task, names in zip(configuration.tasks, given, strict=True):
        yield from _variable_files(task, files)
        if not bundle.is_local(task.module):
            yield from _address(task, files)
        elif module := known.get(task.module):
            yield from _local(task, module, files)
            if module.is_there and module.variables is not None:
                yield from _variables(task, module.variables, names)
        else:
            what = f'"{task.module}" is outside the bundle'
            fix = 'put the module into the bundle and write "./folder"'
            yield task.where.problem(Code.OUTSIDE_BUNDLE, what, fix, option="module")
    yield from _broken_modules(configuration, known)
    for block in (configuration.vault, configuration.driver):
        if block:
            yield from _certificates(block, files)


def _address(task: Task, files: Files) -> Iterator[Problem]:
    if task.module and f"./{task.module}" in bundle.module_folders(files):
        what = f'"{task.module}" is a module address, but the bundle has a folder with that name'
        fix = f'write "./{task.module}"'
        yield task.where.problem(Code.MODULE_MISSING, what, fix, option="module")


def _local(task: Task, module: LocalModule, files: Files) -> Iterator[Problem]:
    if task.version:
        what = "a local module can't have a version"
        fix = "remove it: only modules from a registry have one"
        yield task.where.problem(Code.LOCAL_VERSION, what, fix, option="version")
    if not module.is_there:
        what = f'the bundle has no Terraform files in "{task.module}"'
        fix = _other_modules(task.module, files)
        yield task.where.problem(Code.MODULE_MISSING, what, fix, option="module")
    for source in module.outside:
        what = f'"{task.module}" uses "{source}" outside its folder, which is not supported yet'
        fix = "move that module into its folder"
        yield task.where.problem(Code.NOT_SUPPORTED_YET, what, fix, option="module")


def _other_modules(module: str, files: Files) -> str:
    folders = bundle.module_folders(files)
    if fix := did_you_mean(module, folders):
        return fix
    if not folders:
        return "it has no folders with Terraform files"
    more = ", ..." if len(folders) > FOLDERS_SHOWN else ""
    return f"folders with Terraform files: {', '.join(folders[:FOLDERS_SHOWN])}{more}"


def _variables(
    task: Task, variables: Mapping[str, Declared], given: Collection[str]
) -> Iterator[Problem]:
    inputs = passed(task)
    for name in sorted(inputs - variables.keys()):
        what = f'module "{task.module}" of task "{task.name}" has no variable "{name}"'
        fix = f'declare variable "{name}" in the module: the task passes it'
        if name != NOTHING.variable and task.condition and task.condition.variable == name:
            fix += ", unless the condition has use_as_module_input = false"
        yield task.where.problem(Code.MODULE_WITHOUT_INPUT, what, fix, option="module")
    for name, variable in sorted(variables.items()):
        if variable.required and name not in inputs and name not in given:
            place = join(bundle.inside(task.module) or "", str(variable.place))
            what = f'the module needs the variable "{name}", declared at {place}'
            fix = filled_by(name) or OR_SET
            yield task.where.problem(Code.MISSING_VARIABLE, what, fix, option="module")
    for name in sorted(set(given) - variables.keys()):
        what = f'the module has no variable "{name}"'
        fix = did_you_mean(name, variables.keys() - inputs) or "remove it"
        yield _given_at(task, name).problem(Code.UNKNOWN_VARIABLE, what, fix)


def _given_at(task: Task, name: str) -> Where:
    """Where the task says that variable, or names the file that does."""
    option = f"variables.{name}"
    if task.serverless and option in task.serverless.where.options:
        return task.serverless.where.at(option)
    if option in task.where.options:
        return task.where.at(option)
    return task.where.at("variable_files" if task.variable_files else "module")


def passed(task: Task) -> set[str]:
    """The variables of the module that Consul's data comes in. `services` is always one."""
    blocks = (task.condition, *task.module_input)
    passing = {each.variable for each in blocks if each and each.is_passed}
    return {NOTHING.variable} | passing


def _variable_files(task: Task, files: Files) -> Iterator[Problem]:
    for n, path in enumerate(task.variable_files):
        yield from _file(path, files, task.where, f"variable_files[{n}]")


def _certificates(block: Any, files: Files) -> Iterator[Problem]:
    """Files that the builds need; those of a block that is not needed may be missing."""
    for inner, key, known, value in walk(block, unused=False):
        if known.is_file and value and not TEMPLATE.search(value):
            yield from _file(value, files, inner.where, key)
            content = files.get(bundle.inside(value) or "", b"")
            if not known.secret and bundle.PRIVATE_KEY.search(content):
                what = "the certificate's file also contains a private key"
                fix = 'move it to a separate file, and name that file: key = "..."'
                yield inner.where.problem(Code.LITERAL_SECRET, what, fix, option=key)


def _file(path: str, files: Files, where: Where, option: str) -> Iterator[Problem]:
    name = bundle.inside(path)
    if name is None:
        what = f'"{path}" is not a path inside the bundle'
        fix = "put the file into the bundle, and write its path relative to the top level"
        yield where.problem(Code.OUTSIDE_BUNDLE, what, fix, option=option)
    elif name not in files and not any(each.startswith(f"{name}/") for each in files):
        what = f'the bundle has no file "{path}"'
        others = {*bundle.configuration_files(files)}
        alike = [
            each for each in files if each not in others and not each.endswith(bundle.TERRAFORM)
        ]
        fix = did_you_mean(name, alike[:MOST_ALIKE]) or "paths are relative to the bundle"
        yield where.problem(Code.FILE_MISSING, what, fix, option=option)
