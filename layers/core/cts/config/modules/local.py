"""The rules about what a task names in the bundle: its module, its variables, their files."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from posixpath import join, normpath

from cts.conditions.registry import NOTHING, filled_by
from cts.config import bundle, limits
from cts.config.api_tasks import is_place
from cts.config.blocks.model import Configuration, Task
from cts.config.bundle import Files
from cts.config.limits import OverLimit, in_mib
from cts.config.modules.declared import declared, required
from cts.config.modules.named_files import Bundled, certificates, variable_files
from cts.config.modules.secret_files import Found, secret_files
from cts.config.modules.sources import broken_files, sources_outside
from cts.config.modules.terraform_file import Declared, Required, terraform_files
from cts.config.rules.problem import Code, Place, Problem, Where, did_you_mean
from cts.config.text.tree import ParseError

FOLDERS_SHOWN = 5
OF_API = (
    "tasks created through the API can only use folders that pushed tasks name: "
    "name it in a pushed task, which may be disabled, or do without this one"
)
OR_SET = "set it in one of the variable_files, in variables, or in serverless { variables }"


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
    secrets: tuple[Found, ...] = ()
    required: tuple[Required, ...] = ()

    @property
    def required_version(self) -> str:
        """Of Terraform; empty: any."""
        return ", ".join(each.constraint for each in self.required)

    @property
    def is_there(self) -> bool:
        return any(bundle.root_files(self.files))

    @property
    def constants(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, each in (self.variables or {}).items() if each.const))


LocalModules = Mapping[str, LocalModule]
"""By what a task calls them."""


def local_modules(configuration: Configuration, files: Files) -> LocalModules:
    """Raises OverLimit."""
    sources = {task.module for task in configuration.tasks if bundle.is_local(task.module)}
    folders = {source: folder for source in sources if (folder := bundle.inside(source))}
    moved = bundle.moved_files(configuration)
    contents = _contents({*folders.values()}, files)
    made = {folder: _module(folder, module, moved) for folder, module in contents.items()}
    return {source: made[folder] for source, folder in folders.items()}


def _contents(folders: Collection[str], files: Files) -> dict[str, dict[str, bytes]]:
    """The files of each module. What lies in several counts for each of them."""
    if len(folders) > limits.MOST_MODULES:
        what = f"{len(folders):,} folders are named as modules"
        raise OverLimit(f"{what}, and the limit is {limits.MOST_MODULES:,}")
    found: dict[str, dict[str, bytes]] = {}
    count, size, terraform = 0, 0, dict[str, int]()
    for folder in sorted(folders):
        found[folder] = module = bundle.module_files(files, folder)
        count += len(module)
        size += sum(map(len, module.values()))
        if count > limits.MOST_FILES or size > limits.LARGEST_BUNDLE:
            what = f'the local modules up to "./{folder}" hold {count:,} files with {in_mib(size)}'
            limit = f"the limit is {limits.MOST_FILES:,} with {in_mib(limits.LARGEST_BUNDLE)}"
            raise OverLimit(f"{what}, and {limit}", "a module in another one counts twice")
        read = sum(len(body) for name, body in module.items() if name.endswith(bundle.TERRAFORM))
        terraform[folder] = read
    limits.check_size("the Terraform files of modules", terraform, limits.LARGEST_TERRAFORM)
    return found


def _module(folder: str, files: Files, moved: Collection[str]) -> LocalModule:
    """Without the files whose content a push moves to a secret."""
    module = {
        name: content
        for name, content in files.items()
        if normpath(join(folder, name)) not in moved
    }
    read = terraform_files(module)
    found = LocalModule(
        module,
        None,
        tuple(sources_outside(read)),
        broken=tuple(broken_files(read)),
        secrets=secret_files(module),
        required=required(read),
    )
    if found.broken:
        return found
    try:
        return replace(found, variables=declared(read))
    except ParseError as error:
        return replace(found, unread=error)


def unreadable_modules(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    """What can't be read here: Terraform decides."""
    for task, module in _first_users(configuration, known):
        if module.unread:
            what = (
                f"this could not be read here ({module.unread.what}), so the module's variables "
                "were not checked: Terraform decides"
            )
            place = module.unread.place
            yield _in_module(task, place, Code.SYNTAX, what, "try terraform validate")


def secrets_in_modules(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    """What is secret in a file that the module may need for other reasons."""
    for task, module in _first_users(configuration, known):
        for found in module.secrets:
            if not found.is_refused:
                yield _in_module(task, found.place, Code.LITERAL_SECRET, found.what, found.fix)


def _secret_files(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    for task, module in _first_users(configuration, known):
        for found in module.secrets:
            if found.is_refused:
                yield _in_module(task, found.place, Code.LITERAL_SECRET, found.what, found.fix)


def _broken_modules(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    for task, module in _first_users(configuration, known):
        for error in module.broken:
            yield _in_module(task, error.place, Code.SYNTAX, error.what, error.fix)


def _first_users(
    configuration: Configuration, known: LocalModules
) -> Iterator[tuple[Task, LocalModule]]:
    """Each module with the first task that uses it, so that problems are reported once."""
    first = {task.module: task for task in reversed(configuration.tasks)}
    yield from ((first[source], module) for source, module in known.items())


def in_bundle(task: Task, place: Place) -> Place:
    """A place in the task's module."""
    return replace(place, file=normpath(join(bundle.inside(task.module) or "", place.file)))


def _in_module(task: Task, place: Place, code: Code, what: str, fix: str) -> Problem:
    """With its place in the bundle."""
    return Problem(in_bundle(task, place), task.where.at("module").path, code, what, fix)


def check_modules(
    configuration: Configuration,
    files: Files,
    known: LocalModules,
    given: Sequence[Collection[str]],
) -> Iterator[Problem]:
    """What is wrong with modules and files. `given`: the names of each task's variables."""
    there = Bundled(files)
    for task, names in zip(configuration.tasks, given, strict=True):
        yield from variable_files(task, there)
        yield from _taken(task, names)
        if not bundle.is_local(task.module):
            yield from _address(task, there)
        elif module := known.get(task.module):
            yield from _local(task, module, there)
            if module.is_there and module.variables is not None:
                yield from _variables(task, module.variables, names)
        else:
            what = f'"{task.module}" is outside the bundle'
            fix = 'put the module into the bundle and write "./folder"'
            yield task.where.problem(Code.OUTSIDE_BUNDLE, what, fix, option="module")
    yield from _broken_modules(configuration, known)
    yield from _secret_files(configuration, known)
    for block in (configuration.vault, configuration.driver):
        if block:
            yield from certificates(block, there)


def _taken(task: Task, given: Collection[str]) -> Iterator[Problem]:
    """Variables with names that the root module uses itself."""
    inputs, providers = passed(task), {entry.partition(".")[0] for entry in task.providers}
    for name in sorted(inputs & {*given}):
        what = f'the variable "{name}" can\'t be set: it is for data from Consul'
        yield _given_at(task, name).problem(Code.DUPLICATE_INPUT, what, "remove it")
    for name in sorted((providers - inputs) & {*given}):
        what = f'the variable "{name}" has the name of a provider of the task'
        fix = "rename the module's variable: each provider has one with its own name"
        yield _given_at(task, name).problem(Code.DUPLICATE_INPUT, what, fix)


def _address(task: Task, there: Bundled) -> Iterator[Problem]:
    if task.module and f"./{task.module}" in there.module_folders:
        what = f'"{task.module}" is a module address, but the bundle has a folder with that name'
        fix = f'write "./{task.module}"'
        yield task.where.problem(Code.MODULE_MISSING, what, fix, option="module")


def _local(task: Task, module: LocalModule, there: Bundled) -> Iterator[Problem]:
    if task.version:
        what = "a local module can't have a version"
        fix = "remove it: only modules from a registry have one"
        yield task.where.problem(Code.LOCAL_VERSION, what, fix, option="version")
    if not module.is_there:
        what = f'the bundle has no Terraform files in "{task.module}"'
        fix = _other_modules(task.module, there.module_folders)
        if is_place(task.where.place.file):
            fix = f"{fix}; {OF_API}"
        yield task.where.problem(Code.MODULE_MISSING, what, fix, option="module")
    for source in module.outside:
        what = f'"{task.module}" uses "{source}" outside its folder, which is not supported yet'
        fix = "move that module into its folder"
        yield task.where.problem(Code.NOT_SUPPORTED_YET, what, fix, option="module")


def _other_modules(module: str, folders: Sequence[str]) -> str:
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
