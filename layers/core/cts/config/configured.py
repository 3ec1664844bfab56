"""Which version of Terraform or OpenTofu a configuration asks for, and whether its modules allow
that."""

from collections.abc import Iterator
from dataclasses import dataclass

from cts.config.blocks.model import Configuration, Serverless, Task
from cts.config.modules.local import LocalModule, LocalModules, in_bundle
from cts.config.rules.problem import Code, Problem, Where
from cts.config.rules.terraform_version import check_version
from cts.terraform.releases import RELEASES
from cts.terraform.versions import NAMES, TERRAFORM, allows


@dataclass(frozen=True, slots=True)
class Configured:
    engine: str
    version: str
    """Empty: none is configured."""
    where: Where
    """The block that says it, or the task's."""
    option: str


def configured(task: Task, configuration: Configuration) -> Configured:
    """What the task's own block says counts more than the top level's, and that more than the
    driver's, which means Terraform. A version is one of the engine of its block."""
    absent = Serverless(Where())
    own, defaults = task.serverless or absent, configuration.serverless or absent
    engine = own.engine or defaults.engine or TERRAFORM
    if own.terraform_version:
        return Configured(engine, own.terraform_version, own.where, "terraform_version")
    if defaults.terraform_version and (defaults.engine or TERRAFORM) == engine:
        return Configured(engine, defaults.terraform_version, defaults.where, "terraform_version")
    terraform = configuration.driver.terraform if configuration.driver else None
    if terraform and terraform.version and engine == TERRAFORM:
        return Configured(engine, terraform.version, terraform.where, "version")
    return Configured(engine, "", task.where, "module")


def check_versions(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    """Configured versions that a local module forbids."""
    for task, found, module in _required(configuration, known):
        is_exact = found.version and not [*check_version(found.version, found.where, "")]
        for each in module.required if is_exact else ():
            if not allows(each.constraint, found.version):
                name, at = NAMES[found.engine], in_bundle(task, each.place)
                what = (
                    f'{name} {found.version} is configured, but the module of task "{task.name}" '
                    f"requires {each.constraint} ({at})"
                )
                fix = "configure a version that the module allows, or change its required_version"
                yield found.where.problem(Code.INVALID_VERSION, what, fix, option=found.option)


def unknown_versions(configuration: Configuration, known: LocalModules) -> Iterator[Problem]:
    """Modules that no release allows that the program knows: the stack's version may."""
    for task, found, module in _required(configuration, known):
        if found.version:
            continue
        required = module.required_version
        if not any(allows(required, each) for each in RELEASES[found.engine]):
            what = (
                f"the module requires {NAMES[found.engine]} {required}, and no release that this "
                "version of the program knows meets that"
            )
            fix = "set terraform_version, unless the stack's TerraformVersion meets it"
            yield task.where.problem(Code.INVALID_VERSION, what, fix, option="module")


def _required(
    configuration: Configuration, known: LocalModules
) -> Iterator[tuple[Task, Configured, LocalModule]]:
    """The tasks whose module says what it requires."""
    driver = configuration.driver
    for task in () if driver and driver.terraform_cloud else configuration.tasks:
        module, found = known.get(task.module), configured(task, configuration)
        if module and module.required and found.engine in NAMES:
            yield task, found, module
