"""Driver `terraform`: a run is a CodeBuild build."""

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.aws_errors import code_of, translated
from cts.adapters.bucket import Bucket
from cts.adapters.build_records import BuildStatus, Limits
from cts.adapters.builds import RecordedBuilds
from cts.adapters.sessions import ARCHIVE
from cts.errors import NoBuildsAllowed, Unavailable
from cts.run.model import Run
from cts.run.news import Heard

if TYPE_CHECKING:
    from mypy_boto3_codebuild import CodeBuildClient

NO_BUILDS = "Cannot have more than 0 builds in queue"
"""A hold on many new accounts, whatever Service Quotas shows."""
ENDED = frozenset({"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"})
# A build may wait for eight hours and then run for eight. One more for our clocks.
LONGEST = (480 + 480 + 60) * 60.0
LIMITS = Limits(
    # CodeBuild knows an idempotency token for five minutes.
    restart=4 * 60.0,
    begins=LONGEST,
    longest=LONGEST,
)


class CodeBuild(RecordedBuilds):
    """`bucket` has the archives and takes the records."""

    limits = LIMITS

    def __init__(
        self,
        client: "CodeBuildClient",
        project: str,
        bucket: Bucket,
        now: Callable[[], float],
    ) -> None:
        super().__init__(bucket, now)
        self._client = client
        self._project = project
        self._bucket = bucket.name

    def start(self, run: Run, _archive: bytes) -> str:
        """Start the run's build; within five minutes a repeated start is the same build.

        Returns the build's id. Raises Unavailable when no more builds may run just now, and
        NoBuildsAllowed when the account may run none at all.
        """
        source = f"{self._bucket}/{keys.build_object(run.folder, ARCHIVE)}"
        variables = {
            "CTS_TASK": run.task,
            "CTS_RUN_ID": run.id,
            "CTS_CORRELATION_ID": run.correlation,
        }
        with translated(f"starting the build of run {run.id}", hidden=run.folder):
            try:
                answer = self._client.start_build(
                    projectName=self._project,
                    idempotencyToken=hashlib.sha256(run.id.encode()).hexdigest(),
                    sourceTypeOverride="S3",
                    sourceLocationOverride=source,
                    environmentVariablesOverride=[
                        {"name": name, "value": value, "type": "PLAINTEXT"}
                        for name, value in variables.items()
                    ],
                )
            except ClientError as error:
                if limit := _limit(error, run):
                    raise limit from error
                raise
        return answer["build"]["id"]

    def status(self, build: str) -> BuildStatus:
        """CodeBuild keeps builds for a year, so a response that omits one says nothing about it."""
        with translated(f"asking for build {build}"):
            answer = self._client.batch_get_builds(ids=[build])
        word = answer["builds"][0]["buildStatus"] if answer["builds"] else None
        return status_of(build, word)

    @staticmethod
    def heard(event: Mapping[str, Any]) -> Heard | None:
        """The part of `CodeBuild Build State Change` that we read; None for any other event, or
        for a build that our runner did not start."""
        if event.get("detail-type") != "CodeBuild Build State Change":
            return None
        detail = event["detail"]
        variables = {
            each["name"]: each["value"]
            for each in detail["additional-information"]["environment"]["environment-variables"]
        }
        if "CTS_RUN_ID" not in variables:
            return None
        build = detail["build-id"].split(":build/", 1)[-1]  # as StartBuild names it: project:uuid
        return Heard(
            task=variables["CTS_TASK"],
            run=variables["CTS_RUN_ID"],
            told=status_of(build, detail["build-status"]),
        )


def status_of(build: str, word: str | None) -> BuildStatus:
    """`word`: CodeBuild's status of the build; None if it is not known at the moment."""
    if word in ENDED:
        return BuildStatus(build=build, ended_as=word)
    return BuildStatus(build=build, goes_on=word is not None)


def _limit(error: ClientError, run: Run) -> Exception | None:
    if code_of(error) != "AccountLimitExceededException":
        return None
    message = error.response["Error"].get("Message", "")
    if NO_BUILDS in message:
        return NoBuildsAllowed(
            f"starting the build of run {run.id}: AWS does not let this account run CodeBuild "
            f"builds yet ({message}). New accounts often have this restriction, whatever Service "
            "Quotas shows: open a case with AWS Support (account and billing) and ask for "
            "CodeBuild to be enabled."
        )
    return Unavailable(f"starting the build of run {run.id}: {message}")
