"""A checked configuration to definitions: what each task applies, in one canonical form."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cts.config import model
from cts.config.escapes import undoubled
from cts.config.model import Configuration, Task
from cts.config.secrets import from_vault
from cts.terraform.definition import Definition, Module, Provider
from cts.watch.query import (
    CatalogServicesCondition,
    Condition,
    Input,
    KvCondition,
    ScheduleCondition,
    ServicesCondition,
)


def define(
    task: Task, configuration: Configuration, module: Module, variables: Mapping[str, Any]
) -> Definition:
    condition, inputs = _watched(task, configuration.service)
    found = [(entry, configuration.provider(entry)) for entry in task.providers]
    providers = tuple(_provider(entry, block) for entry, block in found)
    driver = configuration.driver
    terraform, cloud = (driver.terraform, driver.terraform_cloud) if driver else (None, None)
    chosen = terraform or cloud
    required = chosen.required_providers if chosen else {}
    names = {provider.name for provider in providers}
    return Definition(
        task=task.name,
        module=module,
        condition=condition,
        variables=variables,
        inputs=inputs,
        providers=providers,
        required_providers={k: v for k, v in required.items() if k in names},
        backend=_backend(terraform),
        cloud=_cloud(task, cloud) if cloud else {},
        vault=_vault(configuration.vault, providers),
    )


def _vault(vault: model.Vault | None, providers: tuple[Provider, ...]) -> Mapping[str, str]:
    asked = any(from_vault([dict(each.arguments), dict(each.env)]) for each in providers)
    if not asked or not vault:
        return {}
    return {"address": vault.address, "namespace": vault.namespace}


def _provider(entry: str, block: model.ProviderBlock | None) -> Provider:
    if block is None:
        return Provider(entry.partition(".")[0])
    return Provider(
        block.name, block.alias, block.arguments, block.auto_commit, dict(block.task_env)
    )


def _backend(terraform: model.TerraformBlock | None) -> Mapping[str, Any]:
    """`local` becomes the state bucket: no folder outlives a run."""
    written = {each.type: dict(each.options) for each in (terraform.backend if terraform else ())}
    return {name: options for name, options in written.items() if name != "local"}


def _cloud(task: Task, cloud: model.TerraformCloud) -> Mapping[str, Any]:
    """HCP Terraform's workspace of a task. `workspace_prefix` has a dash of its own."""
    spaces, own = cloud.workspaces, task.terraform_cloud_workspace
    prefix = spaces.prefix if spaces else ""
    old = f"{cloud.workspace_prefix}-" if cloud.workspace_prefix and not prefix else ""
    options = {
        "hostname": cloud.hostname,
        "organization": cloud.organization,
        "workspace": f"{prefix or old}{task.name}",
        "tags": sorted(set(spaces.tags)) if spaces else [],
        "tags_allowlist": sorted(set(spaces.tags_allowlist)) if spaces else [],
        "tags_denylist": sorted(set(spaces.tags_denylist)) if spaces else [],
        "execution_mode": own.execution_mode if own else "",
        "agent_pool_id": own.agent_pool_id if own else "",
        "agent_pool_name": own.agent_pool_name if own else "",
        "terraform_version": (own.terraform_version if own else "") or task.terraform_version,
    }
    return {name: value for name, value in options.items() if value}


# ---- conditions and module inputs -------------------------------------------------------------


def _watched(task: Task, blocks: tuple[model.Service, ...]) -> tuple[Condition, tuple[Input, ...]]:
    """What triggers the task, and what its module gets beside that.

    Without a condition CTS takes the services of the list, or of the module input, for one.
    """
    inputs = [_input(each) for each in task.module_input]
    if task.services:
        inputs.append(_listed(task.services, blocks))
    if isinstance(task.condition, model.NoCondition) or task.condition is None:
        services = [each for each in inputs if isinstance(each, ServicesCondition)]
        condition: Condition = services[0] if services else ServicesCondition()
        inputs = [each for each in inputs if each is not condition]
    else:
        condition = _condition(task.condition)
    return condition, tuple(sorted(inputs, key=lambda each: each.kind))


def _condition(block: model.Condition) -> Condition:
    match block:
        case model.ScheduleBlock():
            return ScheduleCondition(block.cron)
        case model.CatalogServicesBlock():
            return CatalogServicesCondition(
                undoubled(block.regexp or ""),
                datacenter=block.datacenter,
                namespace=block.namespace,
                node_meta=_pairs(block.node_meta),
                trigger_only=not block.use_as_module_input,
            )
        case model.ServicesBlock() | model.KvBlock():
            return replace(_input(block), trigger_only=not block.use_as_module_input)
    return ServicesCondition()


def _input(block: model.Input) -> Input:
    if isinstance(block, model.KvInput):
        return KvCondition(
            block.path,
            recurse=block.recurse,
            datacenter=block.datacenter,
            namespace=block.namespace,
        )
    return ServicesCondition(
        names=block.names,
        regexp=None if block.regexp is None else undoubled(block.regexp),
        datacenter=block.datacenter,
        namespace=block.namespace,
        filter=undoubled(block.filter),
        meta=_pairs(block.cts_user_defined_meta),
    )


def _pairs(names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(names.items())


def _listed(entries: tuple[str, ...], blocks: tuple[model.Service, ...]) -> ServicesCondition:
    """The deprecated list: an entry is the id of a service block, or else a service's name.

    Of two entries for one service the last one counts, as in CTS.
    """
    by_id = {block.id: block for block in blocks}
    by_name: dict[str, ServicesCondition] = {}
    for entry in filter(None, entries):
        block = by_id.get(entry)
        name = block.name if block else entry
        by_name[name] = ServicesCondition(
            datacenter=block.datacenter if block else "",
            namespace=block.namespace if block else "",
            filter=undoubled(block.filter if block else ""),
            meta=_pairs(block.cts_user_defined_meta if block else {}),
        )
    groups: dict[ServicesCondition, list[str]] = {}
    for name, query in sorted(by_name.items()):
        groups.setdefault(query, []).append(name)
    made = [replace(query, names=tuple(names)) for query, names in groups.items()]
    first, *others = made or [ServicesCondition()]
    return replace(first, others=tuple(others))


# ---- what has to wait -------------------------------------------------------------------------


def waits_for(definition: Definition) -> Iterator[str]:
    """What a task needs that this version accepts and does not do yet."""
    condition = definition.condition
    if isinstance(condition, ServicesCondition):
        yield from (why for name, why in UNWATCHED.items() if getattr(condition, name))
    else:
        yield f'condition "{condition.kind}"'
    yield from (f'module_input "{each.kind}"' for each in definition.inputs)
    if definition.providers:
        yield "providers"
    yield from (f'backend "{name}"' for name in definition.backend)
    if definition.cloud:
        yield 'driver "terraform-cloud"'


UNWATCHED = {
    "datacenter": "datacenter",
    "namespace": "namespace",
    "filter": "filter",
    "meta": "cts_user_defined_meta",
    "trigger_only": "use_as_module_input = false",
    "others": "service blocks of its services",
}
