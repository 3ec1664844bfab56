"""A state that Terraform could not store: kept where it outlives the build, and pushed by the next
run of the task before that plans anything."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cts.build.busy import busy_from
from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.log import Log
from cts.build.output import STATE_BYTES
from cts.build.records import Records, json_object
from cts.build.s3 import S3
from cts.build.terraform import TerraformProcess

FILE = "errored.tfstate"
"""Of Terraform's own choosing, and the record's name too."""
NOT_STORED = re.compile(r"^(?:terraform apply\b.*: )?Error: Failed to persist state", re.MULTILINE)
NOT_TO_BE_PUSHED = re.compile(r"Failed to write state|reading source state")
"""Terraform's words for a state whose lineage, serial or text rule it out, whoever asks."""
BY_HAND = "the state has to be put right by hand"
LOOK_FIRST = (
    'Store the state before the task runs again: see "A state that could not be stored" in '
    "docs/operations.md."
)


class LostState:
    """`folder`: of the root module, where Terraform leaves such a state. `stored` reads the one
    that is stored."""

    def __init__(
        self,
        s3: S3,
        facts: Facts,
        records: Records,
        log: Log,
        folder: Path,
        stored: Callable[[], bytes | None],
    ) -> None:
        self.s3, self.facts, self.records, self.log = s3, facts, records, log
        self.folder, self.stored, self.began = folder, stored, time.time()
        self.bucket = facts.work_bucket
        self.marker = f"unpushed/{facts.task}"
        """Names the run whose state is to be pushed; it outlives the records of runs."""

    # ---- the next run ---------------------------------------------------------------------

    def push_former(self, terraform: TerraformProcess, own: Path) -> None:
        """Before anything is planned: over an older state Terraform would make everything again.
        `own`: a folder that Terraform does not look at."""
        marker = self.s3.get(self.bucket, self.marker)
        if marker is None:
            return
        run = marker.body.decode(errors="replace")
        name = f"s3://{self.bucket}/{self.records.key(FILE, run)}"
        kept = self.s3.get(self.bucket, self.records.key(FILE, run))
        if kept is None:
            text = f"run {run} could not store its state, and {name} is not there"
            raise RunError(f"{text}. {self._see_docs()}", retryable=False, because=BY_HAND)
        state = as_state(kept.body)
        if state is None:
            text = f"{name} is not a Terraform state"
            raise RunError(f"{text}. {self._see_docs()}", retryable=False, because=BY_HAND)
        if not self._is_stored(state):
            file = own / FILE
            file.write_bytes(kept.body)
            self._push(terraform, file, name)
        self.s3.delete(self.bucket, self.marker, marker.etag)
        self.log.note(f"the state that run {run} could not store is stored now")

    def _is_stored(self, ours: dict[str, Any]) -> bool:
        """Whether the backend has it. Raises RunError if a newer state is there."""
        theirs = self._stored()
        if theirs is None:
            return False
        if is_same(ours, theirs):
            return True
        if theirs["serial"] > ours["serial"]:
            text = "the backend has a newer state than the one that a former run could not"
            text += f" store. {self._see_docs()}"
            raise RunError(text, retryable=False, because=BY_HAND)
        return False

    def _stored(self) -> dict[str, Any] | None:
        """What the backend has; None if nothing readable."""
        return as_state(self.stored() or b"")

    def _push(self, terraform: TerraformProcess, file: Path, name: str) -> None:
        try:
            terraform.run("state", "push", "-no-color", str(file))
        except RunError as failed:
            if busy := busy_from(str(failed)):
                raise busy from failed
            refused = NOT_TO_BE_PUSHED.search(str(failed))
            text = f"{name}, the state of a former run, could not be pushed: {failed}"
            text += f" {self._see_docs()}" if refused else ""
            self.log.note(f"nothing was planned: {text}")
            because = BY_HAND if refused else ""
            raise RunError(text, retryable=not refused, because=because, logged=True) from failed

    def _see_docs(self) -> str:
        return (
            f"No run of {self.facts.task} plans anything before s3://{self.bucket}/{self.marker} "
            'is deleted: see "A state that could not be stored" in docs/operations.md.'
        )

    # ---- the run that lost it ---------------------------------------------------------------

    def keep(self, error: str, printed: str) -> tuple[str, bool] | None:
        """After an apply that failed, put a state that Terraform could not store where it outlives
        the build: what to say of it, and whether the next run can push it. None if Terraform
        stored its state. `printed`: the state that Terraform printed, if it did.

        The marker comes first: once it is there, no run plans over a state that is not."""
        state = self._unstored(error, printed)
        if state is None:
            return None
        name = f"s3://{self.bucket}/{self.records.key(FILE)}"
        not_marked = self._problem_of_putting(self.marker, self.facts.run.encode())
        not_kept = "Terraform left no state that can be read"
        if state:
            not_kept = self._problem_of_putting(self.records.key(FILE), state)
        if not_kept:
            text = f"Its state could not be kept as {name} either: {not_kept}."
        else:
            text = f"Its state is kept as {name}"
            text += "." if not_marked else "; the next run pushes it before it plans."
        if not_marked:
            return f"{text} {self._is_unprotected(not_marked)}", False
        return (f"{text} {self._see_docs()}", False) if not_kept else (text, True)

    def _is_unprotected(self, problem: str) -> str:
        return (
            f"Nothing keeps the next run of {self.facts.task} from planning over an older state, "
            f"because s3://{self.bucket}/{self.marker} could not be put: {problem}. {LOOK_FIRST}"
        )

    def _problem_of_putting(self, key: str, body: bytes) -> str:
        """Empty if there was none."""
        try:
            self.s3.put(self.bucket, key, body)
        except (OSError, RunError) as problem:
            return str(problem)
        return ""

    def _unstored(self, error: str, printed: str) -> bytes | None:
        """What the apply could not store: from Terraform's file, else as it printed it. Empty if
        neither can be read; None if the backend has it. What a module leaves or prints may
        look like it, but is another state."""
        file = self.folder / FILE
        # Files' times are a few milliseconds behind.
        is_new = file.is_file() and file.stat().st_mtime > self.began - 1
        is_read = is_new and file.stat().st_size <= STATE_BYTES
        left = [file.read_bytes() if is_read else b"", printed.encode()]
        found = [(body, state) for body in left if (state := as_state(body))]
        is_told = bool(NOT_STORED.search(error))
        for body, state in found:
            if self._is_missing(state, is_told=is_told):
                return body
        return b"" if is_told and (is_new or printed) and not found else None

    def _is_missing(self, ours: dict[str, Any], *, is_told: bool) -> bool:
        """Whether it is the task's state, and the backend lacks it. When in doubt it is; but
        an older one that Terraform doesn't report is a module's copy."""
        try:
            theirs = self._stored()
        except RunError:
            return True
        if theirs is None:
            return True
        is_old = not is_told and ours["serial"] < theirs["serial"]
        is_ours = ours["lineage"] == theirs["lineage"] and not is_old
        return is_ours and not is_same(ours, theirs)


def as_state(body: bytes) -> dict[str, Any] | None:
    """The Terraform state in a text; None if it is not a state."""
    found = json_object(body) or {}
    serial, lineage = found.get("serial"), found.get("lineage")
    return found if isinstance(serial, int) and isinstance(lineage, str) else None


def is_same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Terraform raises the serial of what it pushes, and then refuses to push the same again."""
    written = dict.fromkeys(("serial", "terraform_version"))
    return ours | written == theirs | written
