"""Locks of the task's state that a build left behind."""

from datetime import datetime, timedelta

from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.log import Log
from cts.build.records import Records, json_object
from cts.build.s3 import S3
from cts.build.times import moment

CLOCK_SKEW = timedelta(seconds=5)


class StateLock:
    """The object that Terraform stores next to the state while it works on it."""

    def __init__(self, s3: S3, facts: Facts, records: Records, log: Log) -> None:
        self.s3, self.records, self.log = s3, records, log
        self.bucket, self.key = facts.state_bucket, f"{facts.state_key}.tflock"
        self.former_runs = facts.former_runs

    def release_orphan(self) -> None:
        """A lock whose holder is a build that has ended is deleted, if it is still that lock.
        Any other lock may be alive: Terraform waits for it."""
        for _ in range(3):
            lock = self.s3.get(self.bucket, self.key)
            if lock is None:
                return
            info = json_object(lock.body) or {}
            created = moment(info.get("Created"))
            if created is None or not all(info.get(each) for each in ("ID", "Who", "Operation")):
                what = f"s3://{self.bucket}/{self.key} is not a Terraform lock"
                fix = "If nothing is using that state, delete the lock."
                why = "only a person can tell what the object is"
                raise RunError(f"{what}. {fix}", retryable=False, because=why)
            holder = f"{info['Who']} since {info['Created']} ({info['Operation']}, {info['ID']})"
            former = self._former_holder(info["Who"], created)
            if not former:
                return
            if self.s3.delete(self.bucket, self.key, lock.etag):
                self.log.note(f"released the state lock that run {former} left: {holder}")
                return

    def _former_holder(self, who: str, created: datetime) -> str | None:
        """The run that took the lock and has ended since."""
        for former in self.former_runs:
            started = self.records.started(former["run"]) or {}
            began, ended = moment(started.get("at")), moment(former["ended_at"])
            if started.get("who") != who or began is None or ended is None:
                continue
            if began <= created <= ended + CLOCK_SKEW:
                return former["run"]
        return None

    def delete_former_versions(self, s3: S3) -> None:
        """The state bucket keeps versions, and each run leaves some of its lock. The latest stays:
        it may be a lock that is held. Nothing depends on this."""
        try:
            if versions := s3.former_versions(self.bucket, self.key):
                s3.delete_versions(self.bucket, self.key, versions)
        except RunError as failed:
            self.log.note(f"former versions of the state's lock were not deleted: {failed}")
