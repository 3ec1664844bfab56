"""Where runs are, and what they work with."""

from dataclasses import dataclass, replace

from cts.terraform.definition import Definition
from cts.terraform.versions import TERRAFORM, EngineVersion, resolve

FIRST_SENSITIVE = (0, 14)
FIRST_EPHEMERAL = {"terraform": (1, 10), "opentofu": (1, 11)}


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where runs leave their records and their state, with which Terraform they work, and where
    their references to secrets are looked up."""

    work_bucket: str
    state_bucket: str
    region: str
    terraform_version: str
    """Of the engine."""
    task_secret_arn: str = ""
    consul_address: str = ""
    consul_secret_arn: str = ""
    """ARN of the secret with the connection's token."""
    consul_ca_arn: str = ""
    """ARN of a secret or parameter with PEM text; empty: the system's CAs are trusted."""
    engine: str = TERRAFORM

    @property
    def release(self) -> EngineVersion:
        return EngineVersion(self.engine, self.terraform_version)

    @property
    def has_sensitive(self) -> bool:
        """Whether variables can be sensitive."""
        return self._version >= FIRST_SENSITIVE

    @property
    def has_ephemeral(self) -> bool:
        """Whether variables can be ephemeral."""
        return self._version >= FIRST_EPHEMERAL[self.engine]

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(map(int, self.terraform_version.removeprefix("v").split(".")[:2]))


def placed(place: RunPlace, definition: Definition, kept: str, constraint: str) -> RunPlace:
    """The place of a task's run, with its own version of Terraform. `place` has the stack's; `kept`
    and `constraint` as in `resolve`. Raises ValueError if there is none."""
    found = resolve(
        definition.engine or TERRAFORM,
        definition.terraform_version,
        kept=kept,
        default=place.terraform_version,
        constraint=constraint,
    )
    return replace(place, engine=found.engine, terraform_version=found.version)
