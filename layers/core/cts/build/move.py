"""Moves a task's state between Consul, where CTS keeps it, and the stack's bucket.

It is a copy: the source stays as it is, so that a move can be repeated, and taken back.
"""

from pathlib import Path
from typing import Any

from cts.build.backend import OwnBackend, workspace
from cts.build.busy import busy_from
from cts.build.errors import Busy, RunError
from cts.build.facts import Facts
from cts.build.lock import StateLock
from cts.build.log import Log
from cts.build.lost_state import as_state, is_same
from cts.build.private_file import written
from cts.build.s3 import S3
from cts.build.terraform import TerraformProcess

EXPECTED = "whoever works on the state is expected to end"
LOOK = "only a person can tell which of the two states is the right one"


class StateMove:
    """`terraform`: in a folder whose root module is Consul's backend alone. `own`: a folder that
    Terraform does not look at."""

    def __init__(
        self,
        s3: S3,
        facts: Facts,
        lock: StateLock,
        terraform: TerraformProcess,
        own: Path,
        log: Log,
    ) -> None:
        self.s3, self.facts, self.lock, self.log = s3, facts, lock, log
        self.terraform, self.own = terraform, own
        self.consul = OwnBackend(facts, terraform)
        self.bucket, self.key = facts.state_bucket, facts.state_key

    def move(self) -> None:
        """Raises Busy if someone works on one of the states, and RunError. A state that was moved
        already is left alone."""
        self._check_nothing_is_owed()
        self._open()
        to_stack = self.facts.moves_to == "stack"
        read, put = (
            (self._in_consul, self._put_in_stack)
            if to_stack
            else (self._in_stack, self._put_in_consul)
        )
        body = read()
        ours = as_state(body)
        if ours is None:
            what = "there is no readable state" if body else "there is no state to move"
            raise RunError(f"{what} {self._source()}", retryable=False)
        put(body, ours)
        self._check_lock()
        if as_state(read()) != ours:
            raise Busy(
                f"the state {self._source()} was changed while it was moved", because=EXPECTED
            )
        self.log.note(f"the state {self._source()} is in the {self._target()} now, and stays there")

    def _source(self) -> str:
        return "in Consul" if self.facts.moves_to == "stack" else "in the state bucket"

    def _target(self) -> str:
        return "state bucket" if self.facts.moves_to == "stack" else "KV store of Consul"

    def _check_nothing_is_owed(self) -> None:
        marker = f"unpushed/{self.facts.task}"
        if self.s3.exists(self.facts.work_bucket, marker):
            why = (
                f"s3://{self.facts.work_bucket}/{marker} names a run that could not store its state"
            )
            fix = "run the task first: its next run stores it"
            raise RunError(f"{why}: {fix}", retryable=False)

    # ---- Consul -----------------------------------------------------------------------------

    def _open(self) -> None:
        """Without the task's workspace: in it, `init` would install what the state's resources
        need."""
        self.terraform.converging("init", "-no-color")
        listed = self.terraform.run("workspace", "list", "-no-color").output.splitlines()
        self.is_in_consul = self.facts.task in (each.strip("* ") for each in listed)
        self.terraform.environment |= workspace(self.facts)

    def _in_consul(self) -> bytes:
        """Where there is none, Terraform would make an empty one to read it. Terraform locks it
        while it reads."""
        return (self.consul.state() or b"") if self.is_in_consul else b""

    def _put_in_consul(self, body: bytes, ours: dict[str, Any]) -> None:
        """Where there is none, Terraform makes an empty one first, and stores this one with the
        next serial."""
        if is_there(ours, as_state(self._in_consul())):
            return
        file = written(self.own / "moved.tfstate", body.decode())
        try:
            self.terraform.run("state", "push", "-no-color", str(file))
        except RunError as failed:
            raise (busy_from(str(failed)) or failed) from failed

    # ---- the stack --------------------------------------------------------------------------

    def _in_stack(self) -> bytes:
        stored = self.s3.get(self.bucket, self.key)
        return stored.body if stored else b""

    def _put_in_stack(self, body: bytes, ours: dict[str, Any]) -> None:
        """Byte for byte."""
        self._check_lock()
        while True:
            stored = self.s3.get(self.bucket, self.key)
            if is_there(ours, as_state(stored.body) if stored else None):
                return
            if stored is None:
                put = self.s3.put_if_absent(self.bucket, self.key, body)
            else:
                put = self.s3.put_over(self.bucket, self.key, body, stored.etag)
            if put:
                return

    def _check_lock(self) -> None:
        """That of a build which has ended is released."""
        self.lock.release_orphan()
        if self.s3.exists(self.bucket, self.lock.key):
            raise Busy(f"the state is locked: s3://{self.bucket}/{self.lock.key}", because=EXPECTED)


def is_there(ours: dict[str, Any], theirs: dict[str, Any] | None) -> bool:
    """Whether the target has the state already, so that nothing is to be done. Raises RunError if
    what it has must not be lost: another state, or a later one."""
    if theirs is None:
        return False
    if is_same(ours, theirs):
        return bool(theirs["serial"] >= ours["serial"])
    is_empty = not theirs.get("resources") and not theirs.get("outputs")
    if ours["lineage"] != theirs["lineage"]:
        if is_empty:
            return False
        text = f"the target has a state of another lineage ({theirs['lineage']})"
    elif theirs["serial"] >= ours["serial"]:
        text = f"the target has a later state (serial {theirs['serial']}, not {ours['serial']})"
    else:
        return False
    raise RunError(f"{text}: nothing was moved", retryable=False, because=LOOK)
