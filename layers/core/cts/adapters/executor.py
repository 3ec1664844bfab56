"""Driver `executor`: a run is an invocation of a function, whose sandbox is often warm."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cts import keys
from cts.adapters.aws_errors import translated
from cts.adapters.bucket import Bucket
from cts.adapters.build_records import BuildStatus, Limits, build_of
from cts.adapters.builds import RecordedBuilds
from cts.run.model import Run
from cts.run.news import Heard, News

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

ENDED = re.compile(r"runs/(?P<task>.+)/(?P<run>[^/]+)/ended/(?P<build>[^/]+)")
"""The key of the record that nothing of a build is left."""
RESTARTED_SECONDS = 240.0
"""After its claim, for which a run that may not have been started is started again."""
QUEUED_SECONDS = 300.0
"""How long Lambda tries to begin: the function's MaximumEventAgeInSeconds."""
CLOCKS = 60.0
KILLED = "KILLED"
"""How a run ended that has no result."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What Lambda reports of an invocation that it has given up."""

    folder: str
    """Of the run that it was asked for, which no other run knows."""
    build: str
    """How its builds are named, up to what tells them apart if it was delivered twice."""
    is_crash: bool
    """Whether its process has ended. Else the function has raised an error, after its records."""


class Executor(RecordedBuilds):
    """`bucket` has the archives and takes the records; `seconds`: the function's time limit."""

    def __init__(
        self,
        client: "LambdaClient",
        function: str,
        seconds: float,
        bucket: Bucket,
        now: Callable[[], float],
    ) -> None:
        super().__init__(bucket, now)
        self._client, self._function = client, function
        begins = QUEUED_SECONDS + CLOCKS
        longest = RESTARTED_SECONDS + begins + seconds
        self.limits = Limits(restart=RESTARTED_SECONDS, begins=begins, longest=longest)

    def start(self, run: Run, _archive: bytes) -> str:
        """Invoke the function for the run. Of several invocations the first one executes it."""
        asked = {
            "task": run.task,
            "run": run.id,
            "folder": run.folder,
            "correlation_id": run.correlation,
        }
        with translated(f"invoking {self._function} for run {run.id}", hidden=run.folder):
            answer = self._client.invoke(
                FunctionName=self._function,
                InvocationType="Event",
                Payload=json.dumps(asked).encode(),
            )
        return keys.warm_build(answer["ResponseMetadata"]["RequestId"])

    def news(self, run: Run, heard: Heard | None = None) -> News:
        if heard and isinstance(heard.told, Failure):
            heard = replace(heard, told=self._after(run, heard.told))
        return super().news(run, heard)

    def _after(self, run: Run, failure: Failure) -> BuildStatus:
        started = self._started(run)
        build = build_of(run, started) or failure.build
        if failure.folder != run.folder or not build.startswith(failure.build):
            return BuildStatus(build=build, goes_on=True)
        if started is not None and not failure.is_crash:
            return self._ask(run)
        return BuildStatus(build=build, ended_as=KILLED)

    def _ask(self, run: Run) -> BuildStatus:
        """Lambda does not say how far an invocation is. Its record does, once it has ended."""
        build = build_of(run, self._started(run))
        if build and self._folder.run_object(run.task, run.id, keys.ended(build)) is not None:
            return BuildStatus(build=build, ended_as=KILLED)
        return BuildStatus(build=build)

    @staticmethod
    def heard(event: Mapping[str, Any]) -> Heard | None:
        """The parts of `Object Created` and of Lambda's records of failures that we read; None for
        any other event or object."""
        match event.get("detail-type"):
            case "Object Created":
                return _ended(event["detail"]["object"]["key"])
            case "Lambda Function Invocation Result - Failure":
                return _failed(event["detail"])
        return None


def _ended(key: str) -> Heard | None:
    named = ENDED.fullmatch(key)
    if named is None:
        return None
    told = BuildStatus(build=named["build"], ended_as=KILLED)
    return Heard(task=named["task"], run=named["run"], told=told)


def _failed(record: Mapping[str, Any]) -> Heard:
    """`record`: of an asynchronous invocation that Lambda has given up."""
    context, asked = record["requestContext"], record["requestPayload"]
    raised = "stackTrace" in (record.get("responsePayload") or {})
    failure = Failure(
        folder=asked["folder"],
        build=keys.warm_build(context["requestId"]),
        is_crash=context["condition"] == "RetriesExhausted" and not raised,
    )
    return Heard(task=asked["task"], run=asked["run"], told=failure)
