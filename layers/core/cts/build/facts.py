"""What the archive says of its run."""

import json
from dataclasses import dataclass
from pathlib import Path

from cts.build.errors import RunError


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`run.json`, as `terraform/archive.py` writes it."""

    task: str
    run: str
    correlation_id: str
    work_bucket: str
    state_bucket: str
    state_key: str
    region: str
    terraform_version: str
    former_runs: list[dict[str, str]]
    """The task's last runs: their `run` ids, and when each `ended_at`."""


def read_facts(file: Path) -> Facts:
    """Raises RunError if they can't be read."""
    try:
        return Facts(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"reading {file}: {error}") from error
