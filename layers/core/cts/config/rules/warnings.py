"""Warnings: what is accepted, and works in another way than written, or not at all."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from cts.build.masking import masked
from cts.conditions.no_condition import NoConditionBlock
from cts.config.blocks.model import (
    BufferBlock,
    Configuration,
    ConsulBlock,
    DriverBlock,
    Task,
)
from cts.config.blocks.schema import walk, where_of
from cts.config.rules.problem import Code, Problem, Where, did_you_mean
from cts.config.secrets import looks_secret, texts
from cts.terraform.references import is_reference

IN_ADDRESS = "the address may contain a credential, but is stored as plain text"
NOT_NEEDED_BECAUSE = "not needed here, because "
TAKE_IT_OUT = (
    "remove it, and replace it where it was issued: put the module into the bundle, or use a "
    "build image that may download it"
)
ADDRESSES = ("module", "source")
"""Options whose addresses may have no scheme."""
PANOS = "set username in its terraform_provider, or PANOS_USERNAME in the stack's secret"
UNSET = (None, (), "")
"""Values that mean that an option is not set."""


def warn(merged: Configuration, final: Configuration) -> Iterator[Problem]:
    """`merged`: only what the files set; `final`: with every default."""
    consul = [*_consul(merged.consul)]
    said = {(each.place, each.path) for each in consul}
    yield from consul
    yield from (each for each in _unneeded(merged) if (each.place, each.path) not in said)
    yield from _deprecated(merged)
    yield from _credentials_in_addresses(merged)
    yield from _nearly_templates(merged)
    yield from _driver(merged.driver)
    yield from _buffer(merged.buffer_period)
    providers = [provider.id for provider in final.terraform_provider]
    for task, whole in zip(merged.tasks, final.tasks, strict=True):
        yield from _buffer(task.buffer_period)
        yield from _unbuffered(task)
        yield from _no_condition(whole)
        for block in (whole.condition, *whole.module_input):
            if block:
                yield from block.warnings()
        yield from _providers(whole, final, providers)
        yield from _workspace(task, final.driver)


def _unneeded(merged: Configuration) -> Iterator[Problem]:
    for block, key, known, value in walk(merged, unused=False):
        if known.unused and value not in UNSET:
            what = NOT_NEEDED_BECAUSE + known.unused
            yield (where_of(value) or block.where.at(key)).problem(Code.NOT_NEEDED, what)


def _deprecated(merged: Configuration) -> Iterator[Problem]:
    for block, key, known, value in walk(merged, unused=False):
        if not known.instead or value in UNSET:
            continue
        first = where_of(value[0]) if isinstance(value, tuple) else None
        what, fix = f"{key} is deprecated", f"write {known.instead}"
        if known.successor and getattr(block, known.successor) not in UNSET:
            what, fix = f"{what}, and ignored because {known.successor} is set", "remove it"
        yield (first or block.where.at(key)).problem(Code.DEPRECATED, what, fix)


def _consul(consul: ConsulBlock | None) -> Iterator[Problem]:
    if not consul:
        return
    if consul.address:
        what = "the address is ignored: the stack's parameter ConsulAddress is used"
        fix = "make sure that both reach the same Consul"
        yield consul.where.problem(Code.NOT_NEEDED, what, fix, option="address")
    if consul.token:
        what = "this token is only used if the stack's parameter ConsulSecretArn is empty"
        yield consul.where.problem(Code.OVERRIDDEN, what, option="token")
        if is_reference(consul.token) and '"CONSUL_HTTP_TOKEN"' not in consul.token:
            what = 'only the reference {{ env "CONSUL_HTTP_TOKEN" }} is supported so far'
            yield consul.where.problem(Code.NOT_SUPPORTED_YET, what, option="token")
    if consul.auth and consul.auth.enabled is not False:
        what, fix = "the poller does not send a user and password yet", "use an ACL token"
        yield consul.auth.where.problem(Code.NOT_SUPPORTED_YET, what, fix)
    if consul.tls and (consul.tls.cert or consul.tls.key):
        what = "this certificate is only used if the stack's parameter ConsulSecretArn is empty"
        yield consul.tls.where.problem(Code.OVERRIDDEN, what)


def _credentials_in_addresses(merged: Configuration) -> Iterator[Problem]:
    """Of modules and servers; those of providers and backends are moved."""
    for block, key, known, value in walk(merged):
        is_address = isinstance(value, str) and ("://" in value or key in ADDRESSES)
        if is_address and not known.secret and masked(value) != value:
            fix = TAKE_IT_OUT if key in ADDRESSES else "take it out"
            yield block.where.problem(Code.LITERAL_SECRET, IN_ADDRESS, fix, option=key)


def _nearly_templates(merged: Configuration) -> Iterator[Problem]:
    for provider in merged.terraform_provider:
        for path, text in texts({**provider.arguments, "task_env": dict(provider.task_env)}):
            if "{{" in text and not is_reference(text):
                what = f"the braces in {path} are not a template, so they are plain text"
                fix = 'write {{ env "NAME" }}, {{ key "path" }} or {{ with secret "path" }}'
                problem = provider.where.problem(Code.TEMPLATE, what, fix, option=path)
                place = provider.where.at(path.partition(".")[0]).place
                yield replace(problem, place=place)


def _driver(driver: DriverBlock | None) -> Iterator[Problem]:
    terraform = driver.terraform if driver else None
    for backend in terraform.backend if terraform else ():
        if backend.type == "local":
            what = "folders don't outlive a run, so the state is kept in the stack's state bucket"
            yield backend.where.problem(Code.BACKEND, what)


def _buffer(buffer: BufferBlock | None) -> Iterator[Problem]:
    if not buffer or buffer.enabled is False or buffer.max is None:
        return
    if buffer.max < 0:
        what = "max is below 0, so it is raised to min"
        yield buffer.where.problem(Code.INVALID_BUFFER, what, "raise max", option="max")
    elif buffer.min is not None and buffer.max < buffer.min:
        what = "max is below min, so it is raised to min"
        yield buffer.where.problem(Code.INVALID_BUFFER, what, "raise max", option="max")


def _unbuffered(task: Task) -> Iterator[Problem]:
    if task.buffer_period and task.condition and (why := task.condition.unbuffered):
        where = task.buffer_period.where
        yield where.problem(Code.INVALID_BUFFER, why, "remove the block")


def _no_condition(task: Task) -> Iterator[Problem]:
    triggers = task.services or any(each.compiled().stands_in for each in task.module_input)
    if isinstance(task.condition, NoConditionBlock) and not triggers:
        what = "without a condition, the task only runs once"
        fix = 'write condition "services" { names = [...] }'
        yield task.where.problem(Code.CONDITION_TYPE, what, fix)


def _providers(
    task: Task, configuration: Configuration, names: Collection[str]
) -> Iterator[Problem]:
    """`names`: of all providers."""
    for n, entry in enumerate(task.providers):
        found, option = configuration.provider(entry), f"providers[{n}]"
        is_panos = entry.partition(".")[0] == "panos"
        if not found:
            what = f'there is no terraform_provider "{entry}", so it is used without options'
            fix = did_you_mean(entry, names) or (PANOS if is_panos else "")
            yield task.where.problem(Code.UNKNOWN_PROVIDER, what, fix, option=option)
        elif is_panos and "username" not in found.arguments:
            what = "the provider panos needs a username"
            yield task.where.problem(Code.MISSING_OPTION, what, PANOS, option=option)


def _workspace(task: Task, driver: DriverBlock | None) -> Iterator[Problem]:
    workspace = task.terraform_cloud_workspace
    if not (driver and driver.terraform_cloud):
        what = 'not needed: only driver "terraform-cloud" has workspaces'
        if workspace and workspace.where.options:
            yield workspace.where.problem(Code.NOT_NEEDED, what)
        if task.terraform_version:
            yield task.where.problem(Code.NOT_NEEDED, what, option="terraform_version")
    elif workspace and workspace.agent_pool_id and workspace.agent_pool_name:
        what = "agent_pool_name is ignored, because agent_pool_id is set"
        yield workspace.where.problem(Code.NOT_NEEDED, what, "remove it", option="agent_pool_name")


def secret_variables(values: Mapping[str, object], where: Where) -> Iterator[Problem]:
    """Variables that look like secrets: anyone who may read the work bucket can read them."""
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        for inner in items:
            if isinstance(inner, dict):
                yield from secret_variables(inner, where.at(name))
        if any(looks_secret(name, each) for each in items):
            what = f'the variable "{name}" looks like a secret, but is stored as plain text'
            fix = "write a reference, as in {{resolve:secretsmanager:NAME}}"
            yield where.problem(Code.LITERAL_SECRET, what, fix, option=name)
