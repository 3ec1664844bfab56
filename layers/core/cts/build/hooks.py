"""What is to be done after an apply that changed something: a commit, and a program of the user's.

An object in the work bucket says that it is owed. It is put before the apply begins and deleted
when all is done, so whatever ends the run in between, the task's next run does it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from cts.build.errors import RunError
from cts.build.facts import VARIABLES, Facts
from cts.build.log import Log
from cts.build.output import Copied, Reading, started
from cts.build.s3 import S3
from cts.build.stop import Stop

ERROR_CHARACTERS = 2000


class Hooks:
    """`folder`: of the root module."""

    def __init__(self, s3: S3, facts: Facts, log: Log, stop: Stop, folder: Path) -> None:
        self.s3, self.facts, self.log, self.stop, self.folder = s3, facts, log, stop, folder
        self.bucket, self.marker = facts.work_bucket, f"unfinished/{facts.task}/after_apply"

    def owe(self, counts: dict[str, int]) -> None:
        """Before an apply that does this. What changes only outputs has nothing to follow."""
        if self._are_configured() and any(counts[each] for each in ("add", "change", "destroy")):
            self.s3.put(self.bucket, self.marker, self.facts.run.encode())

    def pay(self, environment: dict[str, str], reach: Callable[[str], None]) -> None:
        """Do what is owed, if anything is. `environment`: Terraform's; `reach` is told the name of
        the step. Raises RunError."""
        marker = self.s3.get(self.bucket, self.marker) if self._are_configured() else None
        if marker is None:
            return
        reach("after_apply")
        if self.facts.commit:
            from cts.build.panos import Panos

            Panos(self._arguments(), environment, self.folder).commit(self.log, self.stop)
        if self.facts.after_apply:
            self._execute(self.facts.after_apply, environment)
        self.s3.delete(self.bucket, self.marker, marker.etag)

    def _are_configured(self) -> bool:
        return bool(self.facts.after_apply or self.facts.commit)

    def _arguments(self) -> dict[str, object]:
        """Of the provider, as Terraform gets them."""
        try:
            variables = json.loads((self.folder / VARIABLES).read_text())
        except FileNotFoundError:
            return {}
        arguments: dict[str, object] = variables.get(self.facts.commit) or {}
        return arguments

    def _execute(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.stop.check()
        doing = f"after_apply {command[0]}"
        self.log.note("after_apply " + " ".join(command))
        module = self.folder / "modules" / self.facts.task
        run = {"CTS_TASK": self.facts.task, "CTS_RUN_ID": self.facts.run}
        try:
            folder = module if module.is_dir() else self.folder
            process = started(command, folder, environment | run)
        except (OSError, ValueError) as error:
            because = "the program can't be started"
            raise RunError(f"{doing}: {error}", retryable=False, because=because) from error
        said, errors = Copied(self.log), Copied(self.log)
        reading = Reading(process, said, errors)
        code = self.stop.wait(process)
        reading.end()
        told = (str(errors).strip() or str(said).strip())[-ERROR_CHARACTERS:]
        if self.stop.reason:
            raise RunError(f"{doing}: interrupted because {self.stop.reason}", logged=True)
        if code != 0:
            text = f"{doing} ended with code {code}"
            raise RunError(f"{text}: {told}" if told else text)
