"""Every block of CTS 0.9.0's configuration; those of conditions are in `conditions/`.

The classes are the schema: `decode`, `merge` and `finalize` go by the fields' types and by what
`option` says of them. Until `finalize` has set the defaults, None is what is not there: unset and
empty stay apart until all files are merged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cts.conditions.block import ConditionBlock
from cts.conditions.services_block import Service
from cts.config.blocks.schema import Group, Seconds, Values, Variables, block, option
from cts.config.rules.problem import Where

NO_PROCESS = "there is no long-running process"
FREE = "features of CTS Enterprise are part of the stack"


@dataclass(frozen=True, slots=True)
class BufferBlock:
    where: Where
    enabled: bool | None = option()
    min: Seconds | None = option()
    max: Seconds | None = option()


@dataclass(frozen=True, slots=True)
class Syslog:
    where: Where
    enabled: bool | None = option()
    facility: str = option("LOCAL0")
    name: str = option("consul-terraform-sync")


@dataclass(frozen=True, slots=True)
class Auth:
    where: Where
    enabled: bool | None = option()
    username: str = option("")
    password: str = option("", secret=Group.CONNECTION, name="CONSUL_HTTP_PASSWORD")


@dataclass(frozen=True, slots=True)
class Tls:
    where: Where
    enabled: bool | None = option()
    verify: bool = option(True)
    ca_cert: str = option("", is_file=True)
    ca_path: str = option("", is_file=True)
    cert: str = option("", is_file=True)
    key: str = option("", is_file=True)
    server_name: str = option("")


@dataclass(frozen=True, slots=True)
class ConsulTls(Tls):
    cert: str = option("", is_file=True, secret=Group.CONNECTION, name="CONSUL_CLIENT_CERT_PEM")
    key: str = option("", is_file=True, secret=Group.CONNECTION, name="CONSUL_CLIENT_KEY_PEM")


@dataclass(frozen=True, slots=True)
class VaultTls(Tls):
    enabled: bool | None = option(True)
    key: str = option("", is_file=True, secret=Group.TASK, name="VAULT_CLIENT_KEY_PEM")


@dataclass(frozen=True, slots=True)
class CloudTls(Tls):
    key: str = option("", is_file=True, secret=Group.HCP, name="TFC_CLIENT_KEY_PEM")


@dataclass(frozen=True, slots=True)
class Transport:
    where: Where
    dial_keep_alive: Seconds = option(30.0)
    dial_timeout: Seconds = option(30.0)
    disable_keep_alives: bool = option(False)
    idle_conn_timeout: Seconds = option(5.0)
    max_idle_conns: int = option(0)
    max_idle_conns_per_host: int = option(100)
    tls_handshake_timeout: Seconds = option(10.0)


@dataclass(frozen=True, slots=True)
class DefaultCheck:
    where: Where
    enabled: bool = option(True)
    address: str = option("")


@dataclass(frozen=True, slots=True)
class ServiceRegistration:
    where: Where
    enabled: bool = option(True)
    service_name: str = option("consul-terraform-sync")
    address: str = option("")
    namespace: str = option("")
    default_check: DefaultCheck | None = option()


@dataclass(frozen=True, slots=True)
class ConsulBlock:
    where: Where
    address: str = option("localhost:8500")
    token: str = option("", secret=Group.CONNECTION, name="CONSUL_HTTP_TOKEN")
    kv_path: str = option("consul-terraform-sync/")
    kv_namespace: str = option("")
    auth: Auth | None = option()
    tls: ConsulTls | None = option(unused="the stack's parameters define the connection to Consul")
    transport: Transport | None = option(unused="the poller manages its connections")
    service_registration: ServiceRegistration | None = option(
        unused=f"{NO_PROCESS} to register in Consul"
    )


@dataclass(frozen=True, slots=True)
class Vault:
    where: Where
    address: str = option("")
    enabled: bool | None = option()
    namespace: str = option("")
    token: str = option("", secret=Group.TASK, name="VAULT_TOKEN")
    vault_agent_token_file: str | None = option(
        verbatim=True, unused="builds have no Vault agent: store the token as a secret"
    )
    renew_token: bool | None = option(unused="each build logs in again")
    unwrap_token: bool = option(False)
    tls: VaultTls | None = option()
    transport: Transport | None = option(unused="each build manages its connections")


@dataclass(frozen=True, slots=True)
class ApiTls:
    where: Where
    enabled: bool | None = option()
    cert: str = option("")
    key: str = option("")
    verify_incoming: bool = option(False)
    ca_cert: str = option("")
    ca_path: str = option("")


@dataclass(frozen=True, slots=True)
class Backend:
    """A Terraform backend of one type. Several are kept until `validate` has seen them."""

    where: Where
    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TerraformBlock:
    """`driver "terraform"`."""

    where: Where
    version: str = option("")
    log: bool = option(False, unused="every run's log is kept")
    persist_log: bool = option(False)
    path: str = option("", unused="each build downloads Terraform")
    backend: tuple[Backend, ...] = block()
    required_providers: Values = option({})


@dataclass(frozen=True, slots=True)
class Workspaces:
    where: Where
    prefix: str = option("")
    tags: tuple[str, ...] = option(())
    tags_allowlist: tuple[str, ...] = option(())
    tags_denylist: tuple[str, ...] = option(())


@dataclass(frozen=True, slots=True)
class TerraformCloud:
    """`driver "terraform-cloud"`."""

    where: Where
    hostname: str = option("https://app.terraform.io")
    organization: str = option("", required='write organization = "..."')
    token: str = option("", secret=Group.HCP, name="TFC_TOKEN")
    workspace_prefix: str = option("", instead="workspaces.prefix")
    workspaces: Workspaces | None = option()
    required_providers: Values = option({})
    tls: CloudTls | None = option()


@dataclass(frozen=True, slots=True)
class DriverBlock:
    where: Where
    terraform: TerraformBlock | None = option()
    terraform_cloud: TerraformCloud | None = option(key="terraform-cloud")


@dataclass(frozen=True, slots=True)
class AutoRetrieval:
    where: Where
    enabled: bool = option(True)


@dataclass(frozen=True, slots=True)
class License:
    where: Where
    path: str = option("")
    auto_retrieval: AutoRetrieval | None = option()


@dataclass(frozen=True, slots=True)
class ConsulStorage:
    where: Where
    parent_path: str = option("consul-terraform-sync/")
    namespace: str = option("")
    session_ttl: Seconds = option(15.0)


@dataclass(frozen=True, slots=True)
class Storage:
    where: Where
    consul: ConsulStorage | None = option()


@dataclass(frozen=True, slots=True)
class Cluster:
    where: Where
    name: str = option("")
    storage: Storage | None = option()


@dataclass(frozen=True, slots=True)
class Instance:
    where: Where
    address: str = option("")


@dataclass(frozen=True, slots=True)
class HighAvailability:
    where: Where
    cluster: Cluster | None = option()
    instance: Instance | None = option()


@dataclass(frozen=True, slots=True)
class ProviderBlock:
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
class CloudWorkspace:
    """`terraform_cloud_workspace`."""

    where: Where
    execution_mode: str = option("")
    agent_pool_id: str = option("")
    agent_pool_name: str = option("")
    terraform_version: str = option("")


@dataclass(frozen=True, slots=True)
class Serverless:
    """Options that CTS does not have. At the top level, the defaults for all tasks."""

    where: Where
    variables: Values = option({}, resolved=True)
    health: str | None = option()
    events: tuple[str, ...] | None = option()
    environment: Variables = option({}, templates=True)
    git_ssh_key: str = option("", secret=Group.TASK, name="GIT_SSH_KEY")
    default_tags: bool | None = option()
    role_arn: str = option("")
    after_apply: tuple[str, ...] = option(())
    engine: str = option("")
    terraform_version: str = option("")
    lane: str = option("")


@dataclass(frozen=True, slots=True)
class Task:
    where: Where
    name: str = option("", required='write name = "..."')
    description: str = option("")
    enabled: bool = option(True)
    providers: tuple[str, ...] = option(())
    module: str = option("", required='write module = "./folder" or the address of a module')
    source: str = option("", instead="module", successor="module")
    version: str = option("")
    variable_files: tuple[str, ...] = option((), is_file=True)
    variables: Mapping[str, str] = option({}, verbatim=True)
    condition: ConditionBlock | None = option()
    module_input: tuple[ConditionBlock, ...] = block()
    source_input: tuple[ConditionBlock, ...] = block(instead="module_input")
    services: tuple[str, ...] = option(
        (), instead='condition "services" or module_input "services"'
    )
    buffer_period: BufferBlock | None = option()
    working_dir: str | None = option(verbatim=True, unused="each run has a fresh folder")
    terraform_version: str = option("", instead="terraform_cloud_workspace.terraform_version")
    terraform_cloud_workspace: CloudWorkspace | None = option()
    serverless: Serverless | None = option()


@dataclass(frozen=True, slots=True)
class WrittenSecret:
    """A secret written out in a configuration file, or in a file that one names."""

    where: Where
    group: Group
    name: str
    file: str
    start: int
    end: int
    value: str
    """The secret itself; if `is_file`, the name of the file that contains it."""
    is_file: bool = False
    template: str = ""
    """The whole value, where only a part of it is the secret."""
    part: int = 0
    """Which part of the template."""
    is_ignored: bool = False
    """A later value counts instead: a push leaves it out, and stores it nowhere."""


@dataclass(frozen=True)
class Configuration:
    """One file, or several merged."""

    where: Where
    log_level: str = option("INFO", unused="functions log to CloudWatch, with the stack's settings")
    port: int = option(8558, unused="the API is a function URL")
    working_dir: str = option("sync-tasks", unused="each run has a fresh folder")
    id: str | None = option(unused=f"{NO_PROCESS} to name")
    client_type: str = option("", unused="CTS also ignores it in files")
    syslog: Syslog | None = option(unused="logs go to CloudWatch")
    consul: ConsulBlock | None = option()
    vault: Vault | None = option()
    buffer_period: BufferBlock | None = option()
    tls: ApiTls | None = option(unused="the API is a function URL, always with TLS")
    driver: DriverBlock | None = option()
    terraform_provider: tuple[ProviderBlock, ...] = block()
    service: tuple[Service, ...] = block(instead="the fields of the services condition")
    tasks: tuple[Task, ...] = block(key="task")
    license_path: str = option("", unused=FREE)
    license: License | None = option(unused=FREE)
    high_availability: HighAvailability | None = option(
        unused="functions can run anywhere in the region"
    )
    serverless: Serverless | None = option()
    secrets: tuple[WrittenSecret, ...] = ()

    def provider(self, entry: str) -> ProviderBlock | None:
        """The provider that a task's entry means: `name`, or `name.alias`. Of several the first,
        as in CTS, where a bare name also means a block with an alias."""
        name, _, alias = entry.partition(".")
        return self._providers.get((name, alias))

    @cached_property
    def services_by_id(self) -> Mapping[str, Service]:
        return {each.id or "": each for each in self.service}

    @cached_property
    def _providers(self) -> Mapping[tuple[str, str], ProviderBlock]:
        """By name and alias; the first of a name also by its name alone."""
        found: dict[tuple[str, str], ProviderBlock] = {}
        for each in self.terraform_provider:
            found.setdefault((each.name, ""), each)
            found.setdefault((each.name, each.alias), each)
        return found
