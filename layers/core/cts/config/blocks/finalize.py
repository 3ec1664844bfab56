"""What is left unset: CTS's defaults, environment fallbacks and deprecated names.

The environment is the deployment's: the machine of who pushes has no say.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from posixpath import join, normpath
from typing import Any, TypeVar

from cts.conditions.block import ConditionBlock, PassingBlock
from cts.conditions.no_condition import NoConditionBlock
from cts.conditions.services_block import Service
from cts.config.blocks.go_values import FALSE, TRUE
from cts.config.blocks.model import (
    ApiTls,
    Auth,
    Backend,
    BufferBlock,
    Configuration,
    ConsulBlock,
    ConsulTls,
    DriverBlock,
    Syslog,
    Task,
    TerraformBlock,
    Vault,
    VaultTls,
)
from cts.config.blocks.schema import Seconds, known_options
from cts.config.rules.problem import Where
from cts.terraform.references import is_reference

T = TypeVar("T")
Environment = Mapping[str, str]

DEFAULT_MIN, DEFAULT_MAX = Seconds(5.0), Seconds(20.0)
CONSUL_TLS = {
    "ca_cert": "CONSUL_CACERT", "ca_path": "CONSUL_CAPATH", "cert": "CONSUL_CLIENT_CERT",
    "key": "CONSUL_CLIENT_KEY", "server_name": "CONSUL_TLS_SERVER_NAME",
}  # fmt: skip
VAULT_TLS = {
    "ca_cert": "VAULT_CACERT", "ca_path": "VAULT_CAPATH", "cert": "VAULT_CLIENT_CERT",
    "key": "VAULT_CLIENT_KEY", "server_name": "VAULT_TLS_SERVER_NAME",
}  # fmt: skip
VAULT = {"address": "VAULT_ADDR", "namespace": "VAULT_NAMESPACE", "token": "VAULT_TOKEN"}


def finalize(merged: Configuration, environment: Environment) -> Configuration:
    """The configuration with every option set that has a default."""
    buffer = _global_buffer(merged.buffer_period or _absent(BufferBlock))
    consul = _consul(merged.consul or _absent(ConsulBlock), environment)
    driver = _driver(merged.driver or _absent(DriverBlock), consul)
    base = _first(merged.working_dir, "sync-tasks")
    return _filled(
        replace(
            merged,
            client_type="",  # CTS never takes it from a file
            syslog=_syslog(merged.syslog or _absent(Syslog)),
            consul=consul,
            vault=_vault(merged.vault or _absent(Vault), environment),
            buffer_period=buffer,
            tls=_api_tls(merged.tls or _absent(ApiTls)),
            driver=driver,
            service=tuple(_service(each) for each in merged.service),
            tasks=tuple(_task(task, buffer, base) for task in merged.tasks),
        )
    )


def _absent(block: type[T]) -> T:
    return block(Where())  # type: ignore[call-arg]


def _filled(block: T) -> T:
    """The block with the default of each option that is unset. Blocks that are not there stay
    away."""
    filled = {}
    for name, _, known in known_options(block):
        value = getattr(block, name)
        found = known.default if value is None else _filled_inside(value)
        if found is not value:
            filled[name] = found
    return replace(block, **filled) if filled else block  # type: ignore[type-var]


def _filled_inside(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_filled_inside(each) for each in value)
    return _filled(value) if is_dataclass(value) else value


def _from(block: T, variables: Mapping[str, str], environment: Environment) -> T:
    """The environment's values for what is unset; an empty variable counts as not set."""
    found = {
        name: environment[variable].strip()
        for name, variable in variables.items()
        if getattr(block, name) is None and environment.get(variable)
    }
    return replace(block, **found) if found else block  # type: ignore[type-var]


def _flag(environment: Environment, variable: str) -> bool | None:
    """As Go reads a boolean; what cannot be read counts as not set."""
    text = environment.get(variable, "")
    return text in TRUE if text and text in TRUE | FALSE else None


def _first(*values: Any) -> Any:
    """The first that is there: before the defaults are set any option may be None."""
    return next((value for value in values if value is not None), None)


def _syslog(syslog: Syslog) -> Syslog:
    return replace(syslog, enabled=_first(syslog.enabled, bool(syslog.facility or syslog.name)))


def _consul(consul: ConsulBlock, environment: Environment) -> ConsulBlock:
    auth, tls = consul.auth or _absent(Auth), consul.tls or _absent(ConsulTls)
    auth = replace(auth, enabled=_first(auth.enabled, bool(auth.username or auth.password)))
    written = bool(tls.cert or tls.ca_cert or tls.ca_path or tls.key or tls.server_name)
    enabled = _first(tls.enabled, written or _first(tls.verify) is not None)
    tls = _from(replace(tls, enabled=enabled), CONSUL_TLS, environment)
    for variable in ("CONSUL_TOKEN", "CONSUL_HTTP_TOKEN"):
        consul = _from(consul, {"token": variable}, environment)
    consul = _from(consul, {"address": "CONSUL_HTTP_ADDR"}, environment)
    return _filled(replace(consul, auth=auth, tls=tls))


def _vault(vault: Vault, environment: Environment) -> Vault:
    vault = _from(vault, VAULT, environment)
    tls = _from(vault.tls or _absent(VaultTls), VAULT_TLS, environment)
    skip = _flag(environment, "VAULT_SKIP_VERIFY")
    known = bool(vault.token) and vault.vault_agent_token_file is None
    return replace(
        vault,
        enabled=_first(vault.enabled, bool(vault.address)),
        renew_token=_first(vault.renew_token, _flag(environment, "VAULT_RENEW_TOKEN"), known),
        unwrap_token=_first(vault.unwrap_token, _flag(environment, "VAULT_UNWRAP_TOKEN")),
        tls=replace(tls, verify=_first(tls.verify, None if skip is None else not skip)),
    )


def _api_tls(tls: ApiTls) -> ApiTls:
    written = bool(tls.cert or tls.key or tls.ca_cert or tls.ca_path)
    return replace(
        tls, enabled=_first(tls.enabled, written or _first(tls.verify_incoming) is not None)
    )


def _driver(driver: DriverBlock, consul: ConsulBlock) -> DriverBlock:
    if driver.terraform_cloud and not driver.terraform:
        return driver
    terraform = driver.terraform or _absent(TerraformBlock)
    backends = tuple(_backend(each, consul) for each in terraform.backend)
    return replace(driver, terraform=replace(terraform, backend=backends))


def _backend(backend: Backend, consul: ConsulBlock) -> Backend:
    """CTS's defaults of the Consul backend, below what is written."""
    if backend.type != "consul":
        return backend
    defaults: dict[str, Any] = {
        "address": consul.address, "gzip": True, "path": state_path(consul.kv_path),
    }  # fmt: skip
    if consul.tls and consul.tls.enabled:
        files = {
            "ca_file": consul.tls.ca_cert, "cert_file": consul.tls.cert, "key_file": consul.tls.key,
        }  # fmt: skip
        kept = {name: file for name, file in files.items() if file and not is_reference(file)}
        defaults |= {"scheme": "https"} | kept
    return replace(backend, options=defaults | dict(backend.options))


def state_path(kv_path: str) -> str:
    """Where in Consul's KV CTS keeps Terraform's states by default."""
    if not kv_path:
        return "consul-terraform-sync/terraform"
    return kv_path if kv_path.endswith("/terraform") else join(normpath(kv_path), "terraform")


def _service(service: Service) -> Service:
    return replace(service, id=service.name if service.id is None else service.id)


def _task(task: Task, parent: BufferBlock, base: str) -> Task:
    name = _first(task.name, "")
    condition = _condition(task.condition)
    buffer = task.buffer_period or _absent(BufferBlock)
    folder = normpath(join(base, name)) if task.working_dir is None else task.working_dir
    return replace(
        task,
        module=task.module or _first(task.source, ""),
        condition=condition,
        module_input=task.module_input + task.source_input,
        source_input=(),
        buffer_period=_off(buffer) if condition.unbuffered else _task_buffer(buffer, parent),
        working_dir=folder,
    )


def _condition(condition: ConditionBlock | None) -> ConditionBlock:
    if condition is None:
        return _absent(NoConditionBlock)
    if not isinstance(condition, PassingBlock):
        return condition
    fed = _first(condition.use_as_module_input, condition.source_includes_var)
    return replace(condition, use_as_module_input=fed)


def _global_buffer(block: BufferBlock) -> BufferBlock:
    """CTS merges its default first, so that `min` alone leaves `max` at 20 s."""
    if block.enabled is False:
        return _off(block)
    shortest = DEFAULT_MIN if block.min is None else block.min
    return _on(block, shortest, DEFAULT_MAX if block.max is None else block.max)


def _task_buffer(block: BufferBlock, parent: BufferBlock) -> BufferBlock:
    """Setting any option enables it; an unset `max` is 4 x `min`."""
    if block.enabled is None and block.min is None and block.max is None:
        return replace(parent, where=block.where)
    if block.enabled is False:
        return _off(block)
    inherited = parent.min if parent.enabled and parent.min is not None else DEFAULT_MIN
    shortest = inherited if block.min is None else block.min
    return _on(block, shortest, Seconds(4 * shortest) if block.max is None else block.max)


def _off(block: BufferBlock) -> BufferBlock:
    return replace(block, enabled=False, min=Seconds(0.0), max=Seconds(0.0))


def _on(block: BufferBlock, shortest: Seconds, longest: Seconds) -> BufferBlock:
    return replace(block, enabled=True, min=shortest, max=max(shortest, longest))
