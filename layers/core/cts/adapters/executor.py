"""Driver `executor`: a run is an invocation of a function, whose sandbox is often warm."""

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cts import keys
from cts.adapters.aws_errors import translated
from cts.adapters.bucket import Bucket
from cts.adapters.build_records import BuildStatus, Limits, build_of
from cts.adapters.builds import RecordedBuilds
from cts.run.model import Run
from cts.run.news import Heard

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

ENDED = re.compile(r"runs/(?P<task>.+)/(?P<run>[^/]+)/ended/(?P<build>[^/]+)")
"""The key of the record that nothing of a build is left."""
QUEUED_SECONDS = 300.0
"""How long Lambda tries to begin: the function's MaximumEventAgeInSeconds."""
CLOCKS = 60.0
KILLED = "KILLED"
"""How a run ended that has no result."""


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
        self.limits = Limits(restart=4 * 60.0, begins=begins, longest=begins + seconds)

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

    def _ask(self, run: Run) -> BuildStatus:
        """Lambda does not say how far an invocation is. Its record does, once it has ended."""
        build = build_of(run, self._started(run))
        if build and self._folder.run_object(run.task, run.id, keys.ended(build)) is not None:
            return BuildStatus(build=build, ended_as=KILLED)
        return BuildStatus(build=build)

    @staticmethod
    def heard(event: Mapping[str, Any]) -> Heard | None:
        """The part of `Object Created` that we read; None for any other event or object."""
        if event.get("detail-type") != "Object Created":
            return None
        named = ENDED.fullmatch(event["detail"]["object"]["key"])
        if named is None:
            return None
        told = BuildStatus(build=named["build"], ended_as=KILLED)
        return Heard(task=named["task"], run=named["run"], told=told)
