"""The rules. Each yields what breaks it; all are checked in one pass."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cts.build.references import TEMPLATE
from cts.conditions.paths import SERVICE_FAULT, can_be_asked_for
from cts.conditions.services_block import Service
from cts.config import secrets
from cts.config.blocks.model import (
    Backend,
    Configuration,
    ConsulBlock,
    DriverBlock,
    ProviderBlock,
    Task,
    Vault,
)
from cts.config.blocks.schema import walk, where_of
from cts.config.rules.environment import check_names
from cts.config.rules.problem import Code, Problem, Where
from cts.config.rules.references import check_references
from cts.config.rules.serverless import check_serverless
from cts.config.rules.task_rules import check_buffer, check_tasks
from cts.config.rules.terraform_version import check_version
from cts.terraform.hclwrite import is_name
from cts.terraform.references import is_reference

CHECK_ADDRESS = re.compile(r"http[a-z0-9+.-]*:(?:\[[^\[\]\s]*\]|[^\[\]\s])*", re.IGNORECASE)
BACKENDS = ("azurerm", "consul", "cos", "gcs", "kubernetes", "local", "manta", "pg", "s3")
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")


def validate(configuration: Configuration) -> Iterator[Problem]:
    """What makes the configuration unusable, its modules and files aside."""
    yield from _log_level(configuration)
    yield from _driver(configuration.driver)
    yield from check_tasks(configuration.tasks)
    yield from _services(configuration.service)
    yield from _listed(configuration)
    yield from _providers(configuration)
    yield from check_buffer(configuration.buffer_period)
    yield from _consul(configuration.consul)
    yield from check_serverless(configuration)
    yield from check_references(configuration)
    yield from _options(configuration)


def _log_level(configuration: Configuration) -> Iterator[Problem]:
    level = configuration.log_level
    if level.upper() not in LOG_LEVELS:
        what = f'"{level}" is not a log level'
        fix = f"write one of {', '.join(LOG_LEVELS)}"
        yield configuration.where.problem(Code.INVALID_VALUE, what, fix, option="log_level")


# ---- driver -----------------------------------------------------------------------------------


def _driver(driver: DriverBlock | None) -> Iterator[Problem]:
    if not driver:
        return
    if driver.terraform and driver.terraform_cloud:
        what = 'both driver "terraform" and driver "terraform-cloud" are set'
        place = driver.terraform_cloud.where
        yield place.problem(Code.REPEATED_BLOCK, what, "keep only one")
    if driver.terraform:
        where = driver.terraform.where
        yield from check_version(driver.terraform.version, where, "version")
        yield from _backends(driver.terraform.backend)


def _backends(backends: tuple[Backend, ...]) -> Iterator[Problem]:
    for backend in backends:
        if backend.type not in BACKENDS:
            what = f'there is no backend "{backend.type}"'
            fix = f"write one of {', '.join(BACKENDS)}"
            yield backend.where.problem(Code.BACKEND, what, fix)
    for backend in backends[1:]:
        what = f'backend "{backends[0].type}" is already set at {backends[0].where.place}'
        yield backend.where.problem(Code.BACKEND, what, "keep only one")


# ---- services, providers, the rest ------------------------------------------------------------


def _services(services: tuple[Service, ...]) -> Iterator[Problem]:
    first: dict[str, Service] = {}
    for service in services:
        id_ = service.id or ""
        if service.name and first.setdefault(id_, service) is not service:
            what = f'there is another service with id "{id_}" at {first[id_].where.place}'
            fix = "give each a different id"
            yield service.where.problem(Code.DUPLICATE_SERVICE, what, fix, option="id")


def _listed(configuration: Configuration) -> Iterator[Problem]:
    """The names in tasks' lists of services; of those in `service` blocks, in their blocks."""
    for task in configuration.tasks:
        for n, name in enumerate(task.services):
            is_name = name and name not in configuration.services_by_id
            if is_name and not can_be_asked_for(name):
                option = f"services[{n}]"
                yield task.where.problem(Code.INVALID_VALUE, *SERVICE_FAULT, option=option)
    for service in configuration.service:
        if service.name and not can_be_asked_for(service.name):
            yield service.where.problem(Code.INVALID_VALUE, *SERVICE_FAULT, option="name")


def _providers(configuration: Configuration) -> Iterator[Problem]:
    first: dict[str, ProviderBlock] = {}
    for provider in configuration.terraform_provider:
        if first.setdefault(provider.id, provider) is not provider:
            what = f"{provider.id} is already configured at {first[provider.id].where.place}"
            fix = 'give it a different alias: alias = "..."'
            yield provider.where.problem(Code.DUPLICATE_PROVIDER, what, fix)
        yield from _vault_needed(provider, configuration.vault)
        yield from check_names(provider.task_env, provider.where, "task_env")
        yield from _arguments(provider)
    yield from _auto_commit(configuration)


def _arguments(provider: ProviderBlock) -> Iterator[Problem]:
    for name in provider.arguments:
        if not is_name(name):
            what = f'"{name}" can\'t be an argument of a provider'
            fix = "begin with a letter, and only use letters, digits, underscores and dashes"
            yield provider.where.problem(Code.INVALID_VALUE, what, fix, option=name)


def _vault_needed(provider: ProviderBlock, vault: Vault | None) -> Iterator[Problem]:
    if vault and vault.enabled:
        return
    if secrets.from_vault({**provider.arguments, "task_env": dict(provider.task_env)}):
        what = "this reads a secret from Vault, but no Vault is configured"
        yield provider.where.problem(
            Code.VAULT_MISSING, what, 'write vault { address = "https://..." }'
        )


def _auto_commit(configuration: Configuration) -> Iterator[Problem]:
    users: dict[str, Task] = {}
    for task in configuration.tasks:
        for n, entry in enumerate(task.providers):
            provider = configuration.provider(entry)
            if not provider or not provider.auto_commit:
                continue
            if (other := users.setdefault(entry, task)) is not task:
                what = f'"{entry}" is already used by task "{other.name}"'
                fix = "only one task can use a provider with auto_commit: add one with an alias"
                option = f"providers[{n}]"
                yield task.where.problem(Code.AUTO_COMMIT, what, fix, option=option)


def _consul(consul: ConsulBlock | None) -> Iterator[Problem]:
    registration = consul.service_registration if consul else None
    check = registration.default_check if registration else None
    address = check.address if check else ""
    if check and address and not CHECK_ADDRESS.fullmatch(address):
        what = f'"{address}" is not a valid address for a check'
        fix = 'write it as "https://host:8558"'
        yield check.where.problem(Code.INVALID_VALUE, what, fix, option="address")


# ---- all options ------------------------------------------------------------------------------


def _options(configuration: Configuration) -> Iterator[Problem]:
    for block, key, known, value in walk(configuration):
        if known.required and value == known.default:
            what = f"{key} is missing"
            yield block.where.problem(Code.MISSING_OPTION, what, known.required, option=key)
        allowed = known.secret or known.verbatim or known.templates
        if value and not (allowed or where_of(value)):
            refused = TEMPLATE.search if known.resolved else is_reference
            yield from _templates(block.where, key, value, refused)


def _templates(
    where: Where, key: str, value: Any, refused: Callable[[str], object]
) -> Iterator[Problem]:
    """Template syntax where it is not supported. Secrets can be references, and arguments of a
    provider can contain templates."""
    match value:
        case str() if refused(value):
            what = "template syntax is not supported here"
            yield where.problem(Code.TEMPLATE, what, "write the value", option=key)
        case Mapping():
            for name, inner in value.items():
                yield from _templates(where, f"{key}.{name}", inner, refused)
        case tuple():
            for n, inner in enumerate(value):
                yield from _templates(where, f"{key}[{n}]", inner, refused)
