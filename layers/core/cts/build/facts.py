"""What the archive says of its run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cts.build.errors import RunError

VARIABLES = "secret.auto.tfvars.json"
"""Terraform reads it by itself, also when it applies a plan."""
BACKEND = "secret.backend.json"
"""Options of the backend. Both files may have references to secrets."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Facts(NamedTuple):
    """`run.json`, as `terraform/archive.py` writes it."""

    task: str
    run: str
    correlation_id: str
    work_bucket: str
    state_bucket: str
    """With `state_key`: empty if the state is in a backend of the task's own."""
    state_key: str
    region: str
    terraform_version: str
    """The exact version of the engine."""
    former_runs: list[dict[str, str]]
    """The task's last runs: their `run` ids, and when each `ended_at`."""
    engine: str = "terraform"
    """Or `opentofu`."""
    definition: str = ""
    """The digest of the task's definition."""
    environment: Mapping[str, str] = NOTHING
    """Of Terraform; the values may contain references to secrets."""
    vault: Mapping[str, Any] = NOTHING
    """The `address` and the `namespace` of the Vault that references mean."""
    providers: Sequence[str] = ()
    """The variables that configure providers."""
    role_arn: str = ""
    """The role that Terraform works with; empty: the role of the run."""
    after_apply: Sequence[str] = ()
    """Program and arguments to run after an apply that changed something."""
    commit: str = ""
    """The variable of the `panos` provider whose changes are to be committed."""
    persist_log: bool = False
    inspect: bool = False
    """Whether to plan only."""
    destroy: bool = False
    """Whether to destroy all that is in the state, instead of what the configuration says."""
    moves_to: str = ""
    """Where to move the state, from the other one: `consul` or `stack`; empty: it stays."""
    git_ssh_key: str = ""
    """A reference to the private key for module sources that are read with Git over SSH."""
    consul_backend: bool = False
    """Whether the state is in the KV store of the stack's Consul, so that Terraform needs its
    token."""
    task_secret_arn: str = ""
    """The secret with the names and values that `{{ env "NAME" }}` means."""
    consul_address: str = ""
    consul_secret_arn: str = ""
    consul_ca_arn: str = ""

    @property
    def session_name(self) -> str:
        """Of a role that the build assumes: the end of the run's ID, for the name of its task may
        have letters that STS does not accept."""
        return "-".join(self.run.rsplit("-", 2)[-2:])


def read_facts(file: Path) -> Facts:
    """Raises RunError if they can't be read."""
    try:
        return Facts(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"reading {file}: {error}") from error
