"""A checked configuration to definitions: what each task applies, in one canonical form."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cts.conditions.condition import Condition
from cts.conditions.no_condition import NoConditionBlock
from cts.conditions.registry import NOTHING
from cts.conditions.services_block import Service, listed
from cts.config.blocks import model
from cts.config.blocks.finalize import state_path
from cts.config.blocks.model import Configuration, Serverless, Task
from cts.config.configured import configured
from cts.config.limits import LARGEST_GIVEN, too_much_given, weight
from cts.config.moving import reference
from cts.config.rules.problem import Where
from cts.config.secrets import from_vault
from cts.terraform.definition import Definition, Module, Provider
from cts.terraform.references import is_reference
from cts.terraform.versions import TERRAFORM


def check_weight(configuration: Configuration) -> None:
    """Raises OverLimit if what the tasks' definitions share with others is too much."""
    driver = configuration.driver
    terraform, cloud = (driver.terraform, driver.terraform_cloud) if driver else (None, None)
    chosen = terraform or cloud
    required = chosen.required_providers if chosen else {}
    of_all = weight([dict(each.options) for each in (terraform.backend if terraform else ())])
    if cloud and (spaces := cloud.workspaces):
        of_all += weight([*spaces.tags, *spaces.tags_allowlist, *spaces.tags_denylist])
    if configuration.serverless:
        of_all += weight(configuration.serverless.environment)
    providers = {
        each.id: weight([each.arguments, each.task_env, required.get(each.name)])
        for each in configuration.terraform_provider
    }
    services = {
        id_: weight([each.filter, each.cts_user_defined_meta])
        for id_, each in configuration.services_by_id.items()
    }
    total = 0
    for task in configuration.tasks:
        blocks = map(configuration.provider, task.providers)
        total += of_all + sum(providers[block.id] for block in blocks if block)
        total += sum(services.get(entry, 0) for entry in task.services)
        if total > LARGEST_GIVEN:
            too_much_given("providers, backends and services", task.name)


def define(
    task: Task, configuration: Configuration, module: Module, variables: Mapping[str, Any]
) -> Definition:
    watched = _watched(task, configuration.services_by_id)
    health = _health(task, configuration)
    condition, *inputs = (each.with_health(health) for each in watched)
    found = [(entry, configuration.provider(entry)) for entry in task.providers]
    providers = tuple(_provider(entry, block) for entry, block in found)
    driver = configuration.driver
    terraform, cloud = (driver.terraform, driver.terraform_cloud) if driver else (None, None)
    chosen = terraform or cloud
    required = chosen.required_providers if chosen else {}
    version = configured(task, configuration)
    names = {provider.name for provider in providers}
    definition = Definition(
        task=task.name,
        module=module,
        condition=condition,
        variables=variables,
        inputs=tuple(inputs),
        providers=providers,
        required_providers={name: required[name] for name in names if name in required},
        backend=_backend(terraform, configuration.consul),
        cloud=_cloud(task, cloud) if cloud else {},
        persist_log=bool(terraform and terraform.persist_log),
        engine="" if cloud or version.engine == TERRAFORM else version.engine,
        terraform_version=_of_workspace(task) if cloud else version.version,
        **_serverless(task, configuration),
    )
    return replace(definition, vault=_vault(configuration.vault, definition))


def _serverless(task: Task, configuration: Configuration) -> dict[str, Any]:
    """The task's options; unset ones are those of the top level."""
    absent = Serverless(Where())
    own, defaults = task.serverless or absent, configuration.serverless or absent
    default_tags = defaults.default_tags if own.default_tags is None else own.default_tags
    return {
        "environment": {**(defaults.environment or {}), **(own.environment or {})},
        "git_ssh_key": own.git_ssh_key or defaults.git_ssh_key or "",
        "default_tags": bool(default_tags),
        "role_arn": own.role_arn or "",
        "after_apply": own.after_apply or (),
    }


def _vault(vault: model.Vault | None, definition: Definition) -> Mapping[str, str]:
    places = [definition.backend, definition.whole_environment, definition.git_ssh_key]
    asked = from_vault([*places, *(dict(each.arguments) for each in definition.providers)])
    if not asked or not vault:
        return {}
    tls = vault.tls or model.VaultTls(Where())
    wrapped = {"unwrap_token": "true"} if vault.unwrap_token else {}
    found = {"token": vault.token, "key": tls.key if tls.enabled else ""}
    usual = {*map(reference, ("VAULT_TOKEN", "VAULT_CLIENT_KEY_PEM"))}
    given = {n: text for n, text in found.items() if is_reference(text) and text not in usual}
    return {"address": vault.address, "namespace": vault.namespace, **wrapped, **given}


def _provider(entry: str, block: model.ProviderBlock | None) -> Provider:
    if block is None:
        return Provider(entry.partition(".")[0])
    return Provider(
        block.name, block.alias, block.arguments, block.auto_commit, dict(block.task_env)
    )


def _backend(
    terraform: model.TerraformBlock | None, consul: model.ConsulBlock | None
) -> Mapping[str, Any]:
    """`local` becomes the state bucket: folders don't outlive a run. The address of `consul` is
    the stack's, so the stack also knows how to reach it."""
    written = {each.type: dict(each.options) for each in (terraform.backend if terraform else ())}
    options = written.get("consul", {})
    if consul and options.get("address") == consul.address:
        tls = consul.tls or model.ConsulTls(Where())
        files = {"ca_file": tls.ca_cert, "cert_file": tls.cert, "key_file": tls.key}
        of_stack = {"address": consul.address, "scheme": "https", **files}
        kept = {name: each for name, each in options.items() if each != of_stack.get(name)}
        written["consul"] = kept
    return {name: options for name, options in written.items() if name != "local"}


def former_state(configuration: Configuration) -> str:
    """The path in Consul's KV below which CTS keeps the states of this configuration's tasks, or
    has left them if HCP Terraform runs them now; empty if it says where else they are."""
    driver, consul = configuration.driver, configuration.consul
    if driver and driver.terraform and driver.terraform.backend:
        return ""
    return state_path(consul.kv_path if consul else "")


def _cloud(task: Task, cloud: model.TerraformCloud) -> Mapping[str, Any]:
    """HCP Terraform's workspace of a task. `workspace_prefix` includes its own dash."""
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
    }
    return {name: value for name, value in options.items() if value}


def _of_workspace(task: Task) -> str:
    own = task.terraform_cloud_workspace
    return (own.terraform_version if own else "") or task.terraform_version


# ---- conditions and module inputs -------------------------------------------------------------


def _watched(task: Task, services: Mapping[str, Service]) -> tuple[Condition, ...]:
    """What triggers the task, then what else its module gets.

    Without a condition CTS takes the services of the list, or of the module input, for one.
    """
    inputs = [each.compiled() for each in task.module_input]
    if task.services:
        inputs.append(listed(task.services, services))
    if isinstance(task.condition, NoConditionBlock) or task.condition is None:
        condition = next((each for each in inputs if each.stands_in), NOTHING)
        inputs = [each for each in inputs if each is not condition]
    else:
        condition = task.condition.compiled()
    return (condition, *sorted(inputs, key=lambda each: each.kind))


def _health(task: Task, configuration: Configuration) -> str:
    blocks = (task.serverless, configuration.serverless)
    return next((each.health for each in blocks if each and each.health), "")


# ---- what has to wait -------------------------------------------------------------------------


def waits_for(definition: Definition) -> Iterator[str]:
    """What a task needs that this version accepts and does not do yet."""
    if not definition.cloud:
        return
    only_in_builds = {
        "git_ssh_key": definition.git_ssh_key,
        "role_arn": definition.role_arn,
        "after_apply": definition.after_apply,
        "auto_commit": any(each.auto_commit for each in definition.providers),
    }
    for option, is_set in only_in_builds.items():
        if is_set:
            yield f'{option} with driver "terraform-cloud"'
