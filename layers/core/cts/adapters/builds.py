"""News of runs that a build of `build/execute.py` executes, wherever it runs."""

from collections.abc import Callable
from typing import Protocol

from cts.adapters.build_records import (
    APPLYING,
    RESULT,
    STARTED,
    BuildStatus,
    Limits,
    RunRecords,
    Started,
    build_of,
    end_from,
    given_up_record,
    news_of,
    recorded_by,
    says_applied,
    started_from,
)
from cts.run.model import End, Run
from cts.run.news import GivenUp, Heard, News


class RunFolder(Protocol):
    def run_object(self, task: str, run: str, name: str) -> bytes | None: ...
    def archive(self, task: str, run: str) -> bytes | None: ...
    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool: ...


class RecordedBuilds:
    """The half of a driver that reads what builds record. What knows where they execute inherits
    it, and says when they have ended."""

    limits: Limits

    def __init__(self, folder: RunFolder, now: Callable[[], float]) -> None:
        self._folder = folder
        self._now = now

    def status(self, build: str) -> BuildStatus:
        raise NotImplementedError

    def news(self, run: Run, heard: Heard | None = None) -> News:
        """News of the run. A record only counts for the build that it names."""
        status: BuildStatus = heard.told if heard else self._ask(run)
        records = RunRecords() if status.goes_on else self._records(run, status)
        age = self._now() - run.claimed_at
        return news_of(run, status, records, age, self.limits)

    def stop(self, run: Run, end: End | None) -> bool:
        """A build's first act is to put the same object: one conditional put decides."""
        return self._folder.put_if_absent(run.task, run.id, STARTED, given_up_record(end))

    def _ask(self, run: Run) -> BuildStatus:
        build = build_of(run, self._started(run))
        return self.status(build) if build else BuildStatus(build=None)

    def _records(self, run: Run, status: BuildStatus) -> RunRecords:
        """The last one first: `applying` is there before the result of an apply."""
        result = self._folder.run_object(run.task, run.id, RESULT)
        ended = status.build if status.ended_as else None
        is_its_own = ended is not None and recorded_by(result) == ended
        started = Started(ended) if is_its_own else self._started(run)
        if started is None:
            return RunRecords(archive=self._folder.archive(run.task, run.id))
        if isinstance(started, GivenUp):
            return RunRecords(started=started)
        applying = says_applied(result) or self._is_recorded(run, APPLYING)
        end = end_from(result, apply_began=applying)
        return RunRecords(started=started, applying=applying, result=end)

    def _is_recorded(self, run: Run, name: str) -> bool:
        return self._folder.run_object(run.task, run.id, name) is not None

    def _started(self, run: Run) -> Started | GivenUp | None:
        return started_from(self._folder.run_object(run.task, run.id, STARTED))
