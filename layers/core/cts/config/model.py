"""Every block of CTS 0.9.0's configuration, as it was written: None is what is not there.

Unset and empty stay apart until all files are merged. The classes are the schema: `decode`,
`merge` and `finalize` go by the fields' types and by what `option` says of them.
"""

from collections.abc import Hashable, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, NewType, TypeAlias, get_args, get_type_hints

from cts.config.problem import Where

Seconds = NewType("Seconds", float)
"""A duration, written as Go writes it."""
Expressions = NewType("Expressions", Mapping[str, str])
"""Names and texts that Terraform reads as expressions."""
Values = NewType("Values", Mapping[str, Any])
"""Names and plain values, as JSON has them."""


class Group(StrEnum):
    """Who may read a secret: each group is one secret of the stack, with its own policy."""

    CONNECTION = "connection"
    """What reaches Consul: the poller and the builds."""
    HCP = "hcp"
    TASK = "task"
    """What a task's Terraform gets: the builds."""


@dataclass(frozen=True, slots=True)
class Option:
    """What is to be known of an option beside its type."""

    default: Any = None
    key: str = ""
    """As it is written, where that is no name in Python."""
    unused: str = ""
    """Why it is not needed here."""
    instead: str = ""
    """What to write instead of a deprecated option."""
    secret: Group | None = None
    name: str = ""
    """The secret's name, as the environment variable that CTS would read."""
    is_file: bool = False
    verbatim: bool = False
    """CTS takes template syntax for text here."""


def option(default: Any = None, **known: Any) -> Any:
    return field(default=None, metadata={"option": Option(default, **known)})


def block(**known: Any) -> Any:
    """A block that may stand several times."""
    return field(default=(), metadata={"option": Option((), **known)})


def about(of: "Field[Any]") -> Option:
    """What is known of a field."""
    known: Option = of.metadata["option"]
    return known


def key_of(of: "Field[Any]") -> str:
    return about(of).key or of.name


NO_PROCESS = "no process of its own runs here"
STACK_CONNECTS = "the stack's parameters say how Consul is reached"
FREE = "what CTS sells with its Enterprise edition is part of the stack"


@dataclass(frozen=True, slots=True)
class BufferPeriod:
    where: Where
    enabled: bool | None = option()
    min: Seconds | None = option()
    max: Seconds | None = option()


@dataclass(frozen=True, slots=True)
class Syslog:
    where: Where
    enabled: bool | None = option()
    facility: str | None = option("LOCAL0")
    name: str | None = option("consul-terraform-sync")


@dataclass(frozen=True, slots=True)
class Auth:
    where: Where
    enabled: bool | None = option()
    username: str | None = option("")
    password: str | None = option("", secret=Group.CONNECTION, name="CONSUL_HTTP_PASSWORD")


@dataclass(frozen=True, slots=True)
class ConsulTls:
    where: Where
    enabled: bool | None = option()
    verify: bool | None = option(True)
    ca_cert: str | None = option("", is_file=True)
    ca_path: str | None = option("")
    cert: str | None = option("", is_file=True)
    key: str | None = option(
        "", is_file=True, secret=Group.CONNECTION, name="CONSUL_CLIENT_KEY_PEM"
    )
    server_name: str | None = option("")


@dataclass(frozen=True, slots=True)
class VaultTls:
    where: Where
    enabled: bool | None = option(True)
    verify: bool | None = option(True)
    ca_cert: str | None = option("", is_file=True)
    ca_path: str | None = option("")
    cert: str | None = option("", is_file=True)
    key: str | None = option("", is_file=True, secret=Group.TASK, name="VAULT_CLIENT_KEY_PEM")
    server_name: str | None = option("")


@dataclass(frozen=True, slots=True)
class Transport:
    where: Where
    dial_keep_alive: Seconds | None = option(30.0)
    dial_timeout: Seconds | None = option(30.0)
    disable_keep_alives: bool | None = option(False)
    idle_conn_timeout: Seconds | None = option(5.0)
    max_idle_conns: int | None = option(0)
    max_idle_conns_per_host: int | None = option(100)
    tls_handshake_timeout: Seconds | None = option(10.0)


@dataclass(frozen=True, slots=True)
class DefaultCheck:
    where: Where
    enabled: bool | None = option(True)
    address: str | None = option("")


@dataclass(frozen=True, slots=True)
class ServiceRegistration:
    where: Where
    enabled: bool | None = option(True)
    service_name: str | None = option("consul-terraform-sync")
    address: str | None = option("")
    namespace: str | None = option("")
    default_check: DefaultCheck | None = option()


@dataclass(frozen=True, slots=True)
class Consul:
    where: Where
    address: str | None = option("localhost:8500")
    token: str | None = option("", secret=Group.CONNECTION, name="CONSUL_HTTP_TOKEN")
    kv_path: str | None = option("consul-terraform-sync/")
    kv_namespace: str | None = option("")
    auth: Auth | None = option()
    tls: ConsulTls | None = option(unused=STACK_CONNECTS)
    transport: Transport | None = option(unused="the poller chooses its connections itself")
    service_registration: ServiceRegistration | None = option(
        unused=f"{NO_PROCESS}, so that none is registered in Consul"
    )


@dataclass(frozen=True, slots=True)
class Vault:
    where: Where
    address: str | None = option("")
    enabled: bool | None = option()
    namespace: str | None = option("")
    token: str | None = option("", secret=Group.TASK, name="VAULT_TOKEN")
    vault_agent_token_file: str | None = option(
        verbatim=True, unused="no Vault agent runs beside a build: keep the token as a secret"
    )
    renew_token: bool | None = option(unused="each build logs in for itself")
    unwrap_token: bool | None = option(False)
    tls: VaultTls | None = option()
    transport: Transport | None = option(unused="each build chooses its connections itself")


@dataclass(frozen=True, slots=True)
class ApiTls:
    where: Where
    enabled: bool | None = option()
    cert: str | None = option("")
    key: str | None = option("")
    verify_incoming: bool | None = option(False)
    ca_cert: str | None = option("")
    ca_path: str | None = option("")


@dataclass(frozen=True, slots=True)
class Backend:
    """A Terraform backend of one type. Several are kept until `validate` has seen them."""

    where: Where
    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terraform:
    """`driver "terraform"`."""

    where: Where
    version: str | None = option("")
    log: bool | None = option(False, unused="every run's log is kept")
    persist_log: bool | None = option(False, unused="every run's log is kept")
    path: str | None = option("", unused="each build gets Terraform by itself")
    backend: tuple[Backend, ...] = block()
    required_providers: Values | None = option({})


@dataclass(frozen=True, slots=True)
class CloudTls:
    where: Where
    enabled: bool | None = option()
    ca_cert: str | None = option("", is_file=True)
    ca_path: str | None = option("")
    cert: str | None = option("", is_file=True)
    key: str | None = option("", is_file=True, secret=Group.HCP, name="TFC_CLIENT_KEY_PEM")
    server_name: str | None = option("")
    verify: bool | None = option(True)


@dataclass(frozen=True, slots=True)
class Workspaces:
    where: Where
    prefix: str | None = option("")
    tags: tuple[str, ...] | None = option(())
    tags_allowlist: tuple[str, ...] | None = option(())
    tags_denylist: tuple[str, ...] | None = option(())


@dataclass(frozen=True, slots=True)
class TerraformCloud:
    """`driver "terraform-cloud"`."""

    where: Where
    hostname: str | None = option("https://app.terraform.io")
    organization: str | None = option("")
    token: str | None = option("", secret=Group.HCP, name="TFC_TOKEN")
    workspace_prefix: str | None = option("", instead="workspaces.prefix")
    workspaces: Workspaces | None = option()
    required_providers: Values | None = option({})
    tls: CloudTls | None = option()


@dataclass(frozen=True, slots=True)
class Driver:
    where: Where
    terraform: Terraform | None = option()
    terraform_cloud: TerraformCloud | None = option(key="terraform-cloud")


@dataclass(frozen=True, slots=True)
class AutoRetrieval:
    where: Where
    enabled: bool | None = option(True)


@dataclass(frozen=True, slots=True)
class License:
    where: Where
    path: str | None = option("")
    auto_retrieval: AutoRetrieval | None = option()


@dataclass(frozen=True, slots=True)
class ConsulStorage:
    where: Where
    parent_path: str | None = option("consul-terraform-sync/")
    namespace: str | None = option("")
    session_ttl: Seconds | None = option(15.0)


@dataclass(frozen=True, slots=True)
class Storage:
    where: Where
    consul: ConsulStorage | None = option()


@dataclass(frozen=True, slots=True)
class Cluster:
    where: Where
    name: str | None = option("")
    storage: Storage | None = option()


@dataclass(frozen=True, slots=True)
class Instance:
    where: Where
    address: str | None = option("")


@dataclass(frozen=True, slots=True)
class HighAvailability:
    where: Where
    cluster: Cluster | None = option()
    instance: Instance | None = option()


@dataclass(frozen=True, slots=True)
class Provider:
    """`terraform_provider`."""

    where: Where
    name: str
    alias: str
    auto_commit: bool
    task_env: Mapping[str, str]
    arguments: Mapping[str, Any]

    @property
    def id(self) -> str:
        return f"{self.name}.{self.alias}" if self.alias else self.name


@dataclass(frozen=True, slots=True)
class Service:
    where: Where
    name: str | None = option("")
    id: str | None = option(verbatim=True)
    description: str | None = option("")
    datacenter: str | None = option("")
    namespace: str | None = option("")
    filter: str | None = option("")
    cts_user_defined_meta: Mapping[str, str] | None = option({})


@dataclass(frozen=True, slots=True)
class ServicesInput:
    """`module_input "services"`."""

    where: Where
    names: tuple[str, ...] | None = option(())
    regexp: str | None = option()
    datacenter: str | None = option("")
    namespace: str | None = option("")
    filter: str | None = option("")
    cts_user_defined_meta: Mapping[str, str] | None = option({})


@dataclass(frozen=True, slots=True)
class KvInput:
    """`module_input "consul-kv"`."""

    where: Where
    path: str | None = option("")
    recurse: bool | None = option(False)
    datacenter: str | None = option("")
    namespace: str | None = option("")


@dataclass(frozen=True, slots=True)
class ServicesCondition(ServicesInput):
    use_as_module_input: bool | None = option(True)
    source_includes_var: bool | None = option(instead="use_as_module_input")


@dataclass(frozen=True, slots=True)
class KvCondition(KvInput):
    use_as_module_input: bool | None = option(True)
    source_includes_var: bool | None = option(instead="use_as_module_input")


@dataclass(frozen=True, slots=True)
class CatalogServicesCondition:
    where: Where
    regexp: str | None = option()
    datacenter: str | None = option("")
    namespace: str | None = option("")
    node_meta: Mapping[str, str] | None = option({})
    use_as_module_input: bool | None = option(True)
    source_includes_var: bool | None = option(instead="use_as_module_input")


@dataclass(frozen=True, slots=True)
class ScheduleCondition:
    where: Where
    cron: str | None = option("")


@dataclass(frozen=True, slots=True)
class NoCondition:
    """What CTS takes a task for that has no condition."""

    where: Where


Condition: TypeAlias = (
    ServicesCondition | CatalogServicesCondition | KvCondition | ScheduleCondition | NoCondition
)
Input: TypeAlias = ServicesInput | KvInput


@dataclass(frozen=True, slots=True)
class CloudWorkspace:
    """`terraform_cloud_workspace`."""

    where: Where
    execution_mode: str | None = option("")
    agent_pool_id: str | None = option("")
    agent_pool_name: str | None = option("")
    terraform_version: str | None = option("")


@dataclass(frozen=True, slots=True)
class Serverless:
    """What CTS's language has no word for. At top level the defaults of all tasks."""

    where: Where
    variables: Values | None = option({})


@dataclass(frozen=True, slots=True)
class Task:
    where: Where
    name: str | None = option("")
    description: str | None = option("")
    enabled: bool | None = option(True)
    providers: tuple[str, ...] | None = option(())
    module: str | None = option("")
    source: str | None = option("", instead="module")
    version: str | None = option("")
    variable_files: tuple[str, ...] | None = option((), is_file=True)
    variables: Expressions | None = option({}, verbatim=True)
    condition: Condition | None = option()
    module_input: tuple[Input, ...] = block()
    source_input: tuple[Input, ...] = block(instead="module_input")
    services: tuple[str, ...] | None = option(
        (), instead='condition "services" or module_input "services"'
    )
    buffer_period: BufferPeriod | None = option()
    working_dir: str | None = option(verbatim=True, unused="each run has a fresh folder")
    terraform_version: str | None = option(
        "", instead="terraform_cloud_workspace.terraform_version"
    )
    terraform_cloud_workspace: CloudWorkspace | None = option()
    serverless: Serverless | None = option()


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that stands in a configuration file, or in a file that one names."""

    where: Where
    group: Group
    name: str
    file: str
    start: int
    end: int
    value: str
    """The secret itself; where `is_file`, the name of the file that holds it."""
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file, or several merged."""

    where: Where
    log_level: str | None = option(
        "INFO", unused="the functions log to CloudWatch, each by the stack's own settings"
    )
    port: int | None = option(8558, unused="the API is a function URL")
    working_dir: str | None = option("sync-tasks", unused="each run has a fresh folder")
    id: str | None = option(unused=f"{NO_PROCESS}, so that it needs no name")
    client_type: str | None = option("", unused="CTS itself ignores it in a file")
    syslog: Syslog | None = option(unused="logs go to CloudWatch")
    consul: Consul | None = option()
    vault: Vault | None = option()
    buffer_period: BufferPeriod | None = option()
    tls: ApiTls | None = option(unused="the API is a function URL, always with TLS")
    driver: Driver | None = option()
    terraform_provider: tuple[Provider, ...] = block()
    service: tuple[Service, ...] = block(instead="the fields of the services condition")
    tasks: tuple[Task, ...] = block(key="task")
    license_path: str | None = option("", unused=FREE, instead="license.path")
    license: License | None = option(unused=FREE)
    high_availability: HighAvailability | None = option(
        unused="every function of the stack may run anywhere in its region"
    )
    serverless: Serverless | None = option()
    secrets: tuple[Secret, ...] = ()


@cache
def types_of(block_type: Hashable) -> Mapping[str, Any]:
    """The types of a block's fields, without the None of what is not there."""
    hints = get_type_hints(block_type)
    return {name: _without_none(hint) for name, hint in hints.items()}


def _without_none(hint: Any) -> Any:
    kinds = [each for each in get_args(hint) if each is not NoneType]
    if NoneType not in get_args(hint):
        return hint
    return kinds[0] if len(kinds) == 1 else Condition


def options_of(block_type: Any) -> "list[Field[Any]]":
    """The fields of a block that are options."""
    return [each for each in fields(block_type) if "option" in each.metadata]
