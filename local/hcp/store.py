"""What the server keeps, in memory. States, uploads and logs are files."""

from __future__ import annotations

import secrets
import string
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from local.hcp.errors import not_found

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

Kept = TypeVar("Kept")
CHARACTERS = string.ascii_letters + string.digits
FINAL = frozenset(
    {"applied", "planned_and_finished", "errored", "discarded", "canceled", "force_canceled"}
)


def new_id(kind: str) -> str:
    return f"{kind}-{''.join(secrets.choice(CHARACTERS) for _ in range(16))}"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Workspace:
    id: str
    organization: str
    attributes: dict[str, Any]
    folder: Path
    tags: list[str] = field(default_factory=list)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    locked_by: tuple[str, str] | None = None
    """JSON:API type and ID: of a user, or of the run that is under way."""
    notifications: dict[str, dict[str, Any]] = field(default_factory=dict)
    agent_pool: str = ""

    @property
    def name(self) -> str:
        return str(self.attributes["name"])

    @property
    def state(self) -> Path:
        return self.folder / "terraform.tfstate"


@dataclass
class Configuration:
    """A configuration version."""

    id: str
    workspace: str
    archive: Path
    status: str = "pending"
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    created_at: str = field(default_factory=now)


@dataclass
class Phase:
    """A run's plan or apply."""

    id: str
    log: Path
    status: str = "pending"
    counts: dict[str, int] = field(default_factory=dict)
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))


@dataclass
class Run:
    id: str
    workspace: str
    configuration: str
    attributes: dict[str, Any]
    variables: dict[str, str]
    by: str
    folder: Path
    plan: Phase
    apply: Phase
    status: str = "pending"
    has_changes: bool = False
    times: dict[str, str] = field(default_factory=dict)
    created_at: str = field(default_factory=now)
    confirmed: bool = False
    process: subprocess.Popen[bytes] | None = None
    cancelled: bool = False

    @property
    def is_confirmable(self) -> bool:
        return self.status == "planned" and not self.confirmed


class Store:
    """`lock` guards everything; `changed` wakes who waits for a run's turn or its confirmation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.workspaces: dict[str, Workspace] = {}
        self.configurations: dict[str, Configuration] = {}
        self.runs: dict[str, Run] = {}
        self.agent_pools: dict[str, str] = {"apool-Qx3kL1vT8nZb2YcD": "network"}

    def workspace(self, workspace: str) -> Workspace:
        return _found(self.workspaces, workspace)

    def named(self, organization: str, name: str) -> Workspace | None:
        return next(
            (
                w
                for w in self.workspaces.values()
                if (w.organization, w.name) == (organization, name)
            ),
            None,
        )

    def run(self, run: str) -> Run:
        return _found(self.runs, run)

    def runs_of(self, workspace: str) -> list[Run]:
        """Oldest first."""
        return [run for run in self.runs.values() if run.workspace == workspace]


def _found(kept: dict[str, Kept], id_: str) -> Kept:
    if id_ not in kept:
        raise not_found()
    return kept[id_]
