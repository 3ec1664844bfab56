"""The rules. Each yields what breaks it; all are checked in one pass."""

from collections.abc import Iterator

from cts.config import bundle, regexp
from cts.config.bundle import Files
from cts.config.model import Buffer, Configuration, Consul, Services, Task
from cts.config.problem import Code, Problem, did_you_mean

FOLDERS_SHOWN = 5


def validate(configuration: Configuration, files: Files) -> Iterator[Problem]:
    """What makes the configuration unusable."""
    if configuration.consul:
        yield from _consul(configuration.consul)
    yield from _buffer(configuration.buffer)
    yield from _duplicates(configuration.tasks)
    for task in configuration.tasks:
        yield from _name(task)
        yield from _module(task, files)
        yield from _variable_files(task, files)
        yield from _condition(task)
        yield from _buffer(task.buffer)


def warn(configuration: Configuration) -> Iterator[Problem]:
    """What works, though perhaps not as it was meant."""
    if configuration.consul and configuration.consul.address:
        what = "the address is not used: the stack parameter ConsulAddress says where Consul is"
        where = configuration.consul.where
        yield where.problem(Code.NOT_NEEDED, what, "see that it is the same", option="address")
    for buffer in (configuration.buffer, *(task.buffer for task in configuration.tasks)):
        if buffer and buffer.enabled is not False and _crossed(buffer):
            what = "max is below min, so that max becomes min"
            yield buffer.where.problem(Code.INVALID_BUFFER, what, "raise max", option="max")


def _consul(consul: Consul) -> Iterator[Problem]:
    if consul.token:
        what = "a token must not stand in the configuration"
        fix = "put it into the secret given by the stack parameter ConsulSecretArn"
        yield consul.where.problem(Code.LITERAL_SECRET, what, fix, option="token")


def _buffer(buffer: Buffer | None) -> Iterator[Problem]:
    if buffer and buffer.enabled is not False and buffer.min is not None and buffer.min < 0:
        yield buffer.where.problem(Code.INVALID_BUFFER, "min is below 0", "raise it", option="min")


def _crossed(buffer: Buffer) -> bool:
    return buffer.min is not None and buffer.max is not None and buffer.max < buffer.min


def _duplicates(tasks: tuple[Task, ...]) -> Iterator[Problem]:
    first: dict[str, Task] = {}
    for task in tasks:
        if task.name and first.setdefault(task.name, task) is not task:
            what = f'there is another task "{task.name}" at {first[task.name].where.place}'
            yield task.where.problem(Code.DUPLICATE_TASK, what, "rename one", option="name")


def _name(task: Task) -> Iterator[Problem]:
    if not task.name:
        fix = 'write name = "..."'
        yield task.where.problem(Code.MISSING_OPTION, "the task has no name", fix, option="name")
    elif task.name.startswith("-") or not task.name.replace("-", "_").isidentifier():
        what = f'"{task.name}" is not a task name'
        fix = "begin with a letter or underscore, then letters, digits, underscores and dashes"
        yield task.where.problem(Code.INVALID_TASK_NAME, what, fix, option="name")


def _module(task: Task, files: Files) -> Iterator[Problem]:
    if not task.module:
        fix = 'write module = "./folder" or the address of a module'
        yield task.where.problem(
            Code.MISSING_OPTION, "the task has no module", fix, option="module"
        )
    elif bundle.is_local(task.module):
        yield from _local_module(task, files)
    elif f"./{task.module}" in bundle.module_folders(files):
        what = f'"{task.module}" is an address, but the bundle has a folder of that name'
        fix = f'write "./{task.module}"'
        yield task.where.problem(Code.MODULE_MISSING, what, fix, option="module")


def _local_module(task: Task, files: Files) -> Iterator[Problem]:
    folder = bundle.inside(task.module)
    if folder is None:
        what = f'"{task.module}" lies outside the bundle'
        fix = 'put the module into the bundle and write "./folder"'
        yield task.where.problem(Code.OUTSIDE_BUNDLE, what, fix, option="module")
        return
    if task.version:
        fix = "remove it: only modules from a registry have one"
        what = "a local module has no version"
        yield task.where.problem(Code.LOCAL_VERSION, what, fix, option="version")
    module = bundle.module_files(files, folder)
    if not any(bundle.root_files(module)):
        what = f'the bundle has no Terraform files in "{task.module}"'
        fix = _other_modules(task.module, files)
        yield task.where.problem(Code.MODULE_MISSING, what, fix, option="module")
        return
    if not bundle.declares_services(module):
        what = f'module for task "{task.name}" is missing the "services" variable'
        fix = 'declare variable "services" in the module: every task passes it'
        yield task.where.problem(Code.MODULE_WITHOUT_SERVICES, what, fix, option="module")
    for source in bundle.sources_outside(module):
        what = f'"{task.module}" uses "{source}", outside its own folder: not supported yet'
        fix = "put that module into its folder"
        yield task.where.problem(Code.NOT_SUPPORTED_YET, what, fix, option="module")


def _other_modules(module: str, files: Files) -> str:
    folders = bundle.module_folders(files)
    if fix := did_you_mean(module, folders):
        return fix
    if not folders:
        return "it has no folder with Terraform files at all"
    more = ", ..." if len(folders) > FOLDERS_SHOWN else ""
    return f"it has {', '.join(folders[:FOLDERS_SHOWN])}{more}"


def _variable_files(task: Task, files: Files) -> Iterator[Problem]:
    for n, path in enumerate(task.variable_files):
        name = bundle.inside(path)
        if name is None:
            code, what = Code.OUTSIDE_BUNDLE, f'"{path}" lies outside the bundle'
            fix = "put the file into the bundle and name it from there"
        elif name not in files:
            code, what = Code.FILE_MISSING, f'the bundle has no file "{path}"'
            fix = did_you_mean(name, files) or "paths begin at the top of the bundle"
        else:
            continue
        yield task.where.problem(code, what, fix, option=f"variable_files[{n}]")


def _condition(task: Task) -> Iterator[Problem]:
    if task.condition:
        yield from _services(task.condition)
    elif not task.has_condition:
        what = "a task without a condition is not supported yet"
        fix = 'write condition "services" { names = [...] }'
        yield task.where.problem(Code.NOT_SUPPORTED_YET, what, fix, option="condition")


def _services(services: Services) -> Iterator[Problem]:
    problem = services.where.problem
    if services.names and services.regexp is not None:
        yield problem(Code.NAMES_OR_REGEXP, "both names and regexp are set", "set only one")
    if not services.names and services.regexp is None:
        yield problem(Code.NAMES_OR_REGEXP, "set names or regexp")
    for n, name in enumerate(services.names):
        if not name:
            option = f"names[{n}]"
            yield problem(Code.EMPTY_NAME, "a service name is empty", "remove it", option=option)
    if services.regexp is not None and any(found := regexp.fault(services.regexp)):
        yield problem(Code.INVALID_REGEXP, *found, option="regexp")
