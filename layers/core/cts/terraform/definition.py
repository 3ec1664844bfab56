"""What a task applies."""

import hashlib
import json
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from cts.conditions.condition import Condition
from cts.conditions.stored import read_condition, read_input, written
from cts.stored import known_fields, load


@dataclass(frozen=True, slots=True)
class Module:
    """A task's module. `digest` names the archive of a local one in the work bucket."""

    source: str
    version: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of a task, as its `terraform_provider` block says. Values may be references to
    secrets, never secrets."""

    name: str
    alias: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    auto_commit: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of the task's Terraform."""


@dataclass(frozen=True, slots=True)
class VariableFile:
    """Variables in Terraform's own syntax: only Terraform looks at their values."""

    names: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Definition:
    """What a task applies. Immutable; named by the digest of its meaning, so that comments,
    formatting, a description, or a new version of this program run nothing."""

    task: str
    module: Module
    condition: Condition
    variables: Mapping[str, Any] = field(default_factory=dict)
    """The module's variables by name, as JSON values."""
    variable_files: tuple[VariableFile, ...] = ()
    """Whose variables count more than these, each more than those of the files before."""
    constants: tuple[str, ...] = ()
    """Variables whose values the module wants to know at `init`."""
    inputs: tuple[Condition, ...] = ()
    """Module inputs: what the module gets in addition to the condition's data."""
    providers: tuple[Provider, ...] = ()
    required_providers: Mapping[str, Any] = field(default_factory=dict)
    """Of the task's providers: source and version by name."""
    backend: Mapping[str, Any] = field(default_factory=dict)
    """`{type: options}`; empty: the stack's state bucket."""
    cloud: Mapping[str, Any] = field(default_factory=dict)
    """HCP Terraform's workspace; empty: a build of the stack."""
    vault: Mapping[str, str] = field(default_factory=dict)
    """Where the secrets that it refers to are, if they are Vault's: the address, and what else the
    build needs to reach it (`build/vault.py`)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment of its Terraform, besides what its providers say, which counts more. Values may
    be references to secrets."""
    git_ssh_key: str = ""
    """A reference to the private key that Git reads module sources with over SSH."""
    default_tags: bool = False
    """Whether the provider `aws` tags what it makes with the task and the run."""
    role_arn: str = ""
    """The role that its Terraform works with; empty: the stack's."""
    after_apply: tuple[str, ...] = ()
    """Program and arguments to run after each apply that changed something."""
    persist_log: bool = False
    """Whether Terraform's trace log is kept."""
    engine: str = ""
    """`opentofu`; empty: Terraform."""
    terraform_version: str = ""
    """The exact version of the engine; empty: `terraform/versions.py` chooses."""

    @property
    def driver(self) -> str:
        """The driver that executes the task's runs, named as in CTS's `driver` block."""
        return "terraform-cloud" if self.cloud else "terraform"

    @property
    def workspace(self) -> str:
        """HCP Terraform's, with host and organization, as `app.terraform.io/acme/net-web`; empty:
        there is none."""
        if not self.cloud:
            return ""
        host = self.cloud["hostname"].rpartition("://")[2].rstrip("/")
        return f"{host}/{self.cloud['organization']}/{self.cloud['workspace']}"

    @property
    def whole_environment(self) -> dict[str, str]:
        """Of its Terraform: what its providers say counts more, and of these the last one."""
        return dict(
            ChainMap(*(dict(each.env) for each in reversed(self.providers)), dict(self.environment))
        )

    @property
    def has_state_in_consul(self) -> bool:
        """Whether its state is in the KV store of the stack's Consul."""
        consul = self.backend.get("consul")
        return consul is not None and "address" not in consul

    @property
    def variable_names(self) -> list[str]:
        """Sorted."""
        in_files = (name for file in self.variable_files for name in file.names)
        return sorted({*self.variables, *in_files})

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:32]

    def to_json(self) -> str:
        facts = {f.name: getattr(self, f.name) for f in fields(self)} | {
            "module": asdict(self.module),
            "condition": written(self.condition),
            "inputs": [written(each) for each in self.inputs],
            "providers": [_filled(asdict(each)) for each in self.providers],
            "variable_files": [asdict(each) for each in self.variable_files],
        }
        return json.dumps(_filled(facts), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Definition":
        """Fields that this version doesn't know are left out: then `digest` is another one."""
        raw = known_fields(cls, json.loads(text))
        return cls(
            **raw
            | {
                "module": load(Module, raw["module"]),
                "condition": read_condition(raw.get("condition", {})),
                "constants": tuple(raw.get("constants", ())),
                "inputs": tuple(read_input(each) for each in raw.get("inputs", ())),
                "after_apply": tuple(raw.get("after_apply", ())),
                "variable_files": tuple(
                    VariableFile(tuple(each["names"]), each["text"])
                    for each in raw.get("variable_files", ())
                ),
                "providers": tuple(load(Provider, each) for each in raw.get("providers", ())),
            }
        )


def _filled(fields_: Mapping[str, Any]) -> dict[str, Any]:
    """What is empty carries no meaning: a field added later leaves the digests of today alone."""
    return {name: value for name, value in fields_.items() if value}
