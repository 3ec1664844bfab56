"""Settings from environment variables. Only this module knows the names of the variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from cts.errors import MissingSetting

MEGABYTE = 2**20
"""As Lambda counts: 10,240 are 10 GB."""


def required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise MissingSetting(name)
    return value


def executor_disk(env: Mapping[str, str]) -> int:
    """Bytes of the temporary folder that a sandbox of the executor has."""
    return int(required(env, "CTS_EXECUTOR_STORAGE")) * MEGABYTE


@dataclass(frozen=True, slots=True)
class Store:
    """Where state and events are stored. The reader sends no events, so it has no bus."""

    table: str
    work_bucket: str
    bus: str
    run_days: int

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Store":
        return cls(
            table=required(env, "CTS_TABLE"),
            work_bucket=required(env, "CTS_WORK_BUCKET"),
            bus=env.get("CTS_BUS", ""),
            run_days=int(env.get("CTS_RUN_DAYS") or 90),
        )


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    store: Store
    consul_address: str
    hcp_address: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "PublisherSettings":
        return cls(
            store=Store.read(env),
            consul_address=required(env, "CTS_CONSUL_ADDRESS"),
            hcp_address=required(env, "CTS_HCP_ADDRESS").rstrip("/"),
        )


@dataclass(frozen=True, slots=True)
class PollerSettings:
    store: Store
    live: bool
    consul_address: str
    consul_secret: str
    """ARN of the user's secret with the token. If empty, the stack's own secret is used."""
    connection_secret: str
    """ARN of the stack's own secret."""
    consul_ca: str
    """ARN of a secret or parameter with PEM text. If empty, the system's CAs are trusted."""
    consistency: str
    """Consul's mode of queries: default, stale or consistent."""
    state_bucket: str

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "PollerSettings":
        return cls(
            store=Store.read(env),
            live=required(env, "CTS_MODE") == "live",
            consul_address=required(env, "CTS_CONSUL_ADDRESS"),
            consul_secret=env.get("CTS_CONSUL_SECRET_ARN", ""),
            connection_secret=required(env, "CTS_CONNECTION_SECRET_ARN"),
            consul_ca=env.get("CTS_CONSUL_CA_ARN", ""),
            consistency=required(env, "CTS_CONSUL_CONSISTENCY"),
            state_bucket=required(env, "CTS_STATE_BUCKET"),
        )


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    store: Store
    live: bool
    """Whether a poller keeps running and sends heartbeats."""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "ReaderSettings":
        return cls(store=Store.read(env), live=required(env, "CTS_MODE") == "live")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    store: Store
    publisher: str
    """The function that changes the configuration."""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "ApiSettings":
        return cls(store=Store.read(env), publisher=required(env, "CTS_PUBLISHER"))


@dataclass(frozen=True, slots=True)
class Hcp:
    """HCP Terraform, or a server that speaks its API."""

    address: str
    secret: str
    """ARN of the user's secret with the token. If empty, the stack's own secret is used."""
    own_secret: str
    """ARN of the stack's own secret."""
    notified_at: str = ""
    """The URL that notifications go to; empty if they are not wanted."""
    ca: str = ""
    """ARN of a secret or parameter with PEM text. If empty, the public CAs are trusted."""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Hcp":
        return cls(
            address=required(env, "CTS_HCP_ADDRESS").rstrip("/"),
            secret=env.get("CTS_HCP_SECRET_ARN", ""),
            own_secret=required(env, "CTS_HCP_OWN_SECRET_ARN"),
            notified_at=env.get("CTS_HCP_NOTIFIED_AT", ""),
            ca=env.get("CTS_HCP_CA_ARN", ""),
        )


@dataclass(frozen=True, slots=True)
class Warm:
    """The function that executes runs in the warm lane."""

    function: str
    seconds: float
    """Its time limit."""
    disk: int
    """Bytes of its temporary folder."""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Warm":
        return cls(
            function=required(env, "CTS_EXECUTOR"),
            seconds=float(required(env, "CTS_EXECUTOR_TIMEOUT")),
            disk=executor_disk(env),
        )


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    work_bucket: str
    region: str
    disk: int
    """Bytes of the sandbox's temporary folder."""

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "ExecutorSettings":
        return cls(
            work_bucket=required(env, "CTS_WORK_BUCKET"),
            region=required(env, "AWS_REGION"),
            disk=executor_disk(env),
        )


@dataclass(frozen=True, slots=True)
class Builds:
    """How runs are executed."""

    project: str
    task_role: str
    """ARN of the role that runs work with."""
    state_bucket: str
    region: str
    terraform_version: str
    concurrency: int
    task_secret: str
    """ARN of the secret that references of tasks mean."""
    consul_address: str
    consul_secret: str
    """ARN of the user's secret with the token for Consul. If empty, the stack's own is used."""
    connection_secret: str
    """ARN of the stack's own secret."""
    consul_ca: str
    hcp: Hcp
    warm: Warm

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Builds":
        return cls(
            project=required(env, "CTS_PROJECT"),
            task_role=required(env, "CTS_TASK_ROLE"),
            state_bucket=required(env, "CTS_STATE_BUCKET"),
            region=required(env, "AWS_REGION"),
            terraform_version=required(env, "CTS_TERRAFORM_VERSION"),
            concurrency=int(required(env, "CTS_CONCURRENCY")),
            task_secret=required(env, "CTS_TASK_SECRET_ARN"),
            consul_address=required(env, "CTS_CONSUL_ADDRESS"),
            consul_secret=env.get("CTS_CONSUL_SECRET_ARN", ""),
            connection_secret=required(env, "CTS_CONNECTION_SECRET_ARN"),
            consul_ca=env.get("CTS_CONSUL_CA_ARN", ""),
            hcp=Hcp.read(env),
            warm=Warm.read(env),
        )


@dataclass(frozen=True, slots=True)
class Tracked:
    """Which builds are tracked, and how many may run at once."""

    project: str
    task_role: str
    concurrency: int
    hcp: Hcp
    warm: Warm

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Tracked":
        return cls(
            project=required(env, "CTS_PROJECT"),
            task_role=required(env, "CTS_TASK_ROLE"),
            concurrency=int(required(env, "CTS_CONCURRENCY")),
            hcp=Hcp.read(env),
            warm=Warm.read(env),
        )
