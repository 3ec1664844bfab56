"""Warnings: what is accepted, and works in another way than written, or not at all."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from cts.config.model import (
    BufferPeriod,
    Configuration,
    Consul,
    Driver,
    ScheduleCondition,
    Task,
    about,
    key_of,
    options_of,
)
from cts.config.problem import Code, Problem, Where, did_you_mean
from cts.config.secrets import looks_secret
from cts.config.validate import resolve


def notes(merged: Configuration, final: Configuration) -> Iterator[Problem]:
    """`merged`: as it is written; `final`: with every default."""
    yield from _unneeded(merged)
    yield from _consul(merged.consul)
    yield from _driver(merged.driver)
    yield from _buffer(merged.buffer_period)
    for task, whole in zip(merged.tasks, final.tasks, strict=True):
        yield from _buffer(task.buffer_period)
        yield from _schedule(task)
        yield from _providers(whole, final)
        yield from _workspace(task, final.driver)


def _unneeded(block: Any) -> Iterator[Problem]:
    """What is not needed here, and names that CTS is giving up."""
    for each in options_of(block):
        known, key, value = about(each), key_of(each), getattr(block, each.name)
        if not _is_written(value):
            continue
        if known.instead and not known.unused:
            yield _deprecated(block, key, known.instead, value)
        if known.unused:
            what = f"not needed here, because {known.unused}"
            where, option = (value.where, "") if _is_block(value) else (block.where, key)
            yield where.problem(Code.NOT_NEEDED, what, option=option)
            continue
        for inner in value if isinstance(value, tuple) else (value,):
            if _is_block(inner):
                yield from _unneeded(inner)


def _is_written(value: Any) -> bool:
    """An empty list is none, and a terraform_version left empty asks for nothing."""
    return value not in (None, (), "") or value == 0


def _is_block(value: Any) -> bool:
    return is_dataclass(value)


def _deprecated(block: Any, key: str, instead: str, value: Any) -> Problem:
    where: Where = block.where.at(key)
    if isinstance(value, tuple):
        where = value[0].where if _is_block(value[0]) else where
    elif _is_written(getattr(block, instead, None)):
        what = f"{key} is deprecated, and not used beside {instead}"
        return where.problem(Code.DEPRECATED, what, "remove it")
    return where.problem(Code.DEPRECATED, f"{key} is deprecated", f"write {instead}")


def _consul(consul: Consul | None) -> Iterator[Problem]:
    if not consul:
        return
    if consul.address:
        what = "the address is not used: the stack's parameter ConsulAddress says where Consul is"
        fix = "see that it is the same"
        yield consul.where.problem(Code.NOT_NEEDED, what, fix, option="address")
    if consul.token:
        what = "the stack's parameter ConsulSecretArn comes before this token, if it is set"
        yield consul.where.problem(Code.NOT_NEEDED, what, option="token")
    if consul.auth and consul.auth.enabled is not False:
        what, fix = "the poller does not send a user and password yet", "use an ACL token"
        yield consul.auth.where.problem(Code.NOT_SUPPORTED_YET, what, fix)
    if consul.tls and (consul.tls.cert or consul.tls.key):
        what = "the poller does not show a certificate of its own yet"
        option = "cert" if consul.tls.cert else "key"
        yield consul.tls.where.problem(Code.NOT_SUPPORTED_YET, what, option=option)


def _driver(driver: Driver | None) -> Iterator[Problem]:
    terraform = driver.terraform if driver else None
    if terraform and terraform.version:
        what = "the version is not used yet: the stack's parameter TerraformVersion decides"
        yield terraform.where.problem(Code.NOT_SUPPORTED_YET, what, option="version")
    for backend in terraform.backend if terraform else ():
        if backend.type == "local":
            what = "no folder outlives a run: the state is kept in the stack's state bucket"
            yield backend.where.problem(Code.BACKEND, what)


def _buffer(buffer: BufferPeriod | None) -> Iterator[Problem]:
    if not buffer or buffer.enabled is False or buffer.min is None or buffer.max is None:
        return
    if buffer.max < buffer.min:
        what = "max is below min, so that max becomes min"
        yield buffer.where.problem(Code.INVALID_BUFFER, what, "raise max", option="max")


def _schedule(task: Task) -> Iterator[Problem]:
    if isinstance(task.condition, ScheduleCondition) and task.buffer_period:
        what = "a scheduled task has no buffer period: it runs when its time comes"
        where = task.buffer_period.where
        yield where.problem(Code.INVALID_BUFFER, what, "remove the block")


def _providers(task: Task, configuration: Configuration) -> Iterator[Problem]:
    names = [provider.id for provider in configuration.terraform_provider]
    for n, entry in enumerate(task.providers or ()):
        found = resolve(entry, configuration.terraform_provider)
        if not found:
            what = f'there is no terraform_provider "{entry}": it is taken for one without options'
            yield task.where.problem(
                Code.UNKNOWN_PROVIDER, what, did_you_mean(entry, names), option=f"providers[{n}]"
            )
        if entry.partition(".")[0] == "panos" and not (found and "username" in found.arguments):
            what = "the provider panos needs a username"
            fix = "set username in its terraform_provider, or PANOS_USERNAME in the stack's secret"
            yield task.where.problem(Code.MISSING_OPTION, what, fix, option=f"providers[{n}]")


def _workspace(task: Task, driver: Driver | None) -> Iterator[Problem]:
    workspace = task.terraform_cloud_workspace
    if not (driver and driver.terraform_cloud):
        what = 'not needed: only driver "terraform-cloud" has workspaces of its own'
        if workspace and workspace.where.options:
            yield workspace.where.problem(Code.NOT_NEEDED, what)
        if task.terraform_version:
            yield task.where.problem(Code.NOT_NEEDED, what, option="terraform_version")
    elif workspace and workspace.agent_pool_id and workspace.agent_pool_name:
        what = "agent_pool_id is used, and agent_pool_name is not"
        yield workspace.where.problem(
            Code.DUPLICATE_INPUT, what, "remove one", option="agent_pool_name"
        )


def secret_variables(names: Mapping[str, object], where: Where) -> Iterator[Problem]:
    """Variables that look like secrets: they stay readable for who may read the work bucket."""
    for name, value in names.items():
        if looks_secret(name, value):
            what = f'the variable "{name}" looks like a secret, and is stored as it is written'
            fix = "give the credential to the provider in a terraform_provider"
            yield where.problem(Code.LITERAL_SECRET, what, fix, option=name)
