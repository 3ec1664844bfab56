"""Where runs are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where runs leave their records and their state, with which Terraform they work, and where
    their references to secrets are looked up."""

    work_bucket: str
    state_bucket: str
    region: str
    terraform_version: str
    task_secret_arn: str = ""
    consul_address: str = ""
    consul_secret_arn: str = ""
    """ARN of the secret with the connection's token."""
    consul_ca_arn: str = ""
    """ARN of a secret or parameter with PEM text; empty: the system's CAs are trusted."""

    def has_terraform(self, *version: int) -> bool:
        """Whether its Terraform is of this version, or newer."""
        parts = self.terraform_version.removeprefix("v").split(".")
        return tuple(int(part) for part in parts[: len(version)]) >= version
