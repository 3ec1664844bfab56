"""What Terraform finds around it: an environment with a run's secrets, and where its state is."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cts.build import profile
from cts.build.endpoint import RUN, Endpoint, HasCredentials
from cts.build.errors import RunError
from cts.build.facts import BACKEND, VARIABLES, Facts
from cts.build.log import Log
from cts.build.private_file import written

if TYPE_CHECKING:
    from cts.build.aws import Aws
    from cts.build.role import TaskRole

PROFILES_SINCE = (1, 6)


class Surroundings:
    """`run`: the run's own credentials; `own`: the folder of the build's own files. What only
    secrets and roles need is imported when a task has some."""

    def __init__(
        self, folder: Path, own: Path, facts: Facts, run: HasCredentials, log: Log, ends_at: float
    ) -> None:
        self.folder, self.own, self.facts, self.log = folder, own, facts, log
        self.run, self.ends_at = run, ends_at
        self.role = self._role() if facts.role_arn else None
        self.task: HasCredentials = self.role or run
        self.endpoint = Endpoint(run, self.task)

    def resolve(self) -> dict[str, str]:
        """What the task adds to Terraform's environment; the files of the root module get their
        values, too. Raises RunError."""
        facts = self.facts
        if self.role:
            self.role.open()
        if not (
            facts.environment
            or facts.consul_backend
            or facts.git_ssh_key
            or any((self.folder / name).exists() for name in (VARIABLES, BACKEND))
        ):
            return {}
        from cts.build.resolve import Values, resolve

        of_task, of_run = self._aws(self.task), self._aws(self.run)
        values = Values(facts, of_task, of_run, self.own, self.log.hidden.add)
        return resolve(self.folder, self.own, facts, values)

    def backend_options(self, version: str) -> list[str]:
        """For `init`. Raises RunError if this Terraform can't do what is asked."""
        options = [f"-backend-config={BACKEND}"] if (self.folder / BACKEND).exists() else []
        facts = self.facts
        others = facts.role_arn or any(name.startswith("AWS_") for name in facts.environment)
        if not (facts.state_bucket and others):
            return options
        if tuple(map(int, version.split(".")[:2])) < PROFILES_SINCE:
            raise RunError(
                "a task with `role_arn`, or with variables of AWS in its environment, whose state "
                f"is in the stack's bucket needs Terraform 1.6 or newer, not {version}",
                retryable=False,
            )
        # Terraform's providers use the task's credentials; its backend the run's.
        text = profile.settings(f"{self.endpoint.address}{RUN}", self.endpoint.token)
        config = written(self.own / "aws.config", text)
        named = {"profile": profile.NAME, "shared_config_files": [str(config)]}
        file = written(self.own / "profile.backend.json", json.dumps(named))
        return [*options, f"-backend-config={file}"]

    def _role(self) -> "TaskRole":
        from cts.build.role import TaskRole

        return TaskRole(self.facts.role_arn, self.facts.session_name, self._aws(self.run))

    def _aws(self, whose: HasCredentials) -> "Aws":
        from cts.build.aws import Aws

        return Aws(self.facts.region, whose.credentials, self.ends_at)
