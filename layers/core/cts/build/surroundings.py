"""What Terraform finds around it: an environment with a run's secrets, and where its state is."""

import json
from pathlib import Path

from cts.build import profile
from cts.build.aws import Aws
from cts.build.endpoint import RUN, Endpoint, HasCredentials
from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.log import Log
from cts.build.private_file import written
from cts.build.resolve import BACKEND, Values, resolve
from cts.build.role import TaskRole

PROFILES_SINCE = (1, 6)


class Surroundings:
    """`run`: the run's own credentials; `own`: the folder of the build's own files."""

    def __init__(
        self, folder: Path, own: Path, facts: Facts, run: HasCredentials, log: Log, ends_at: float
    ) -> None:
        self.folder, self.own, self.facts, self.log = folder, own, facts, log
        self.of_run = Aws(facts.region, run.credentials, ends_at)
        self.role = TaskRole(facts.role_arn, facts.session_name, self.of_run)
        self.task: HasCredentials = self.role if facts.role_arn else run
        self.endpoint = Endpoint(run, self.task)

    def resolve(self) -> dict[str, str]:
        """What the task adds to Terraform's environment; the files of the root module get their
        values, too. Raises RunError."""
        if self.facts.role_arn:
            self.role.open()
        of_task = Aws(self.facts.region, self.task.credentials, self.of_run.ends_at)
        values = Values(self.facts, of_task, self.of_run, self.own, self.log.hidden.add)
        return resolve(self.folder, self.own, self.facts, values)

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
