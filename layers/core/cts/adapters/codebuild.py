"""Driver `terraform`: a run is a CodeBuild build."""

import hashlib
from typing import Any

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.aws_errors import code_of, translated
from cts.errors import NoBuildsAllowed, Unavailable
from cts.run.model import Run

NO_BUILDS = "Cannot have more than 0 builds in queue"
"""A hold on many new accounts, whatever Service Quotas shows."""
LONGEST = (480 + 480 + 60) * 60.0
"""Seconds: a build may wait for eight hours and then run for eight. One more for our clocks."""


class CodeBuild:
    """`client` is a CodeBuild client."""

    longest = LONGEST

    def __init__(self, client: Any, project: str, bucket: str) -> None:
        self._client = client
        self._project = project
        self._bucket = bucket

    def start(self, run: Run, archive_version: str) -> str:
        """Start the run's build; within five minutes a repeated start is the same build.

        Returns the build's id. Raises Unavailable when no more builds may run just now, and
        NoBuildsAllowed when the account may run none at all.
        """
        variables = {
            "CTS_TASK": run.task,
            "CTS_RUN_ID": run.id,
            "CTS_CORRELATION_ID": run.correlation,
        }
        with translated(f"starting the build of run {run.id}"):
            try:
                answer = self._client.start_build(
                    projectName=self._project,
                    idempotencyToken=hashlib.sha256(run.id.encode()).hexdigest(),
                    sourceTypeOverride="S3",
                    sourceLocationOverride=(
                        f"{self._bucket}/{keys.run_object(run.task, run.id, 'archive.zip')}"
                    ),
                    sourceVersion=archive_version,
                    environmentVariablesOverride=[
                        {"name": name, "value": value, "type": "PLAINTEXT"}
                        for name, value in variables.items()
                    ],
                )
            except ClientError as error:
                if limit := _limit(error, run):
                    raise limit from error
                raise
        build: str = answer["build"]["id"]
        return build

    def status(self, build: str) -> str | None:
        """CodeBuild's word for the build (IN_PROGRESS, SUCCEEDED, ...); None if it is unknown just
        now. CodeBuild keeps builds for a year: an answer that leaves one out says nothing of it."""
        with translated(f"asking for build {build}"):
            answer = self._client.batch_get_builds(ids=[build])
        return answer["builds"][0]["buildStatus"] if answer["builds"] else None


def _limit(error: ClientError, run: Run) -> Exception | None:
    if code_of(error) != "AccountLimitExceededException":
        return None
    message = error.response["Error"].get("Message", "")
    if NO_BUILDS in message:
        return NoBuildsAllowed(
            f"starting the build of run {run.id}: AWS does not let this account run CodeBuild "
            f"builds yet ({message}). New accounts are often held back so, whatever Service "
            "Quotas shows: open a case with AWS Support (account and billing) and ask for "
            "CodeBuild to be enabled."
        )
    return Unavailable(f"starting the build of run {run.id}: {message}")
