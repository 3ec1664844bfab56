"""Where the state is: in the stack's bucket, or in a backend of the user's own."""

from pathlib import Path
from typing import Protocol

from cts.build.busy import LockWait, busy_from
from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.init import Init
from cts.build.lock import StateLock
from cts.build.s3 import S3
from cts.build.terraform import TerraformProcess, backend_options

NO_BACKEND = 'terraform {\n  backend "local" {}\n}\n'
OVERRIDE = "cts_no_state_override.tf"
"""Of an inspection of a task without state: to plan in a workspace creates it."""


class StateBackend(Protocol):
    def prepare(self) -> None:
        """Before anything locks the state."""

    def init(self, terraform: TerraformProcess, wait: LockWait, options: list[str]) -> bool:
        """Initialise the folder. In the task's workspace if that exists, so that providers only its
        state still needs are installed too. Whether it exists."""

    def state(self) -> bytes | None:
        """What is stored, None if nothing. Raises RunError."""


class StackBackend:
    """The stack's state bucket. Only its `init` may be left out: with any other backend, `init` may
    read credentials."""

    def __init__(self, s3: S3, facts: Facts, lock: StateLock, last: Init) -> None:
        self.s3, self.facts, self.lock, self.last = s3, facts, lock, last

    def prepare(self) -> None:
        self.lock.release_orphan()

    def init(self, terraform: TerraformProcess, wait: LockWait, options: list[str]) -> bool:
        """Without state `init` would refuse the workspace, whereas `plan` creates it."""
        exists = self.s3.exists(self.facts.state_bucket, self.facts.state_key)
        if exists:
            terraform.environment |= workspace(self.facts)
        fixed = backend_options(terraform.version, other_endpoint=bool(self.s3.endpoint))
        read = [*fixed, str(exists)]
        if not options and self.last.is_done(read):
            terraform.log.note("init is left out: it would find what the last run has left")
            return exists
        wait.run(terraform.converging, "init", "-no-color", *fixed, *options)
        if not options:
            self.last.done(read)
        return exists

    def state(self) -> bytes | None:
        stored = self.s3.get(self.facts.state_bucket, self.facts.state_key)
        return stored.body if stored else None


class OwnBackend:
    """Any other. Its locks are its own matter: Consul's end with the session that holds them."""

    def __init__(self, facts: Facts, terraform: TerraformProcess) -> None:
        self.facts, self.terraform = facts, terraform

    def prepare(self) -> None:
        """Nothing: a lock may be held by anyone."""

    def init(self, terraform: TerraformProcess, wait: LockWait, options: list[str]) -> bool:
        """Terraform can't open a workspace that doesn't exist, and Consul's backend would create
        one that it opens. So it is looked for in the list first."""
        wait.run(terraform.converging, "init", "-no-color", *options)
        listed = terraform.run("workspace", "list", "-no-color").output.splitlines()
        exists = self.facts.task in (each.strip("* ") for each in listed)
        if exists:
            terraform.environment |= workspace(self.facts)
            wait.run(terraform.converging, "init", "-no-color", *options)
        return exists

    def state(self) -> bytes | None:
        try:
            return self.terraform.pulled_state() or None
        except RunError as failed:
            busy = busy_from(str(failed))
            if busy is None:
                raise
            raise busy from failed


def workspace(facts: Facts) -> dict[str, str]:
    return {"TF_WORKSPACE": facts.task}


def without_state(terraform: TerraformProcess, folder: Path, last: Init) -> None:
    """Initialise a folder again, with an empty state on its disk."""
    last.undone()
    (folder / OVERRIDE).write_text(NO_BACKEND)
    terraform.converging("init", "-no-color", "-reconfigure")
