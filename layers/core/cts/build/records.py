"""The records of a run. They lie under `runs/<task>/<run>/` of the work bucket, put in this order:

* `started`          whose run this is; the second build of a run finds it and does nothing
* `applying`         put just before anything is applied; with it `unfinished/<task>/apply` says
                     what is about to be created, if anything is, until there is a result
* `errored.tfstate`  a state that Terraform could not store; before it `unpushed/<task>` names the
                     run, until a later run of the task has pushed that state
* `result.json`      how it ended
* `plan`             what its plan printed, without secrets
* `terraform.log`    the trace of Terraform, of a task with `persist_log`
* `log`              everything Terraform said, put every two seconds while it grows and at the end
"""

import json
import os
import pwd
from typing import Any

from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.log import Log
from cts.build.s3 import S3


class Records:
    """Those of this run, and who began others of its task."""

    def __init__(self, s3: S3, facts: Facts) -> None:
        self.s3, self.bucket = s3, facts.work_bucket
        self.task, self.run = facts.task, facts.run

    def key(self, name: str, run: str = "") -> str:
        """`run`: another one of the task's."""
        return f"runs/{self.task}/{run or self.run}/{name}"

    def put(self, name: str, body: bytes) -> None:
        self.s3.put(self.bucket, self.key(name), body)

    def started(self, run: str) -> dict[str, Any] | None:
        """What the object `started` of one of the task's runs says; None if nothing readable."""
        stored = self.s3.get(self.bucket, self.key("started", run))
        return json_object(stored.body) if stored else None

    def begin(self, build: str, at: str, log: Log) -> str | None:
        """Make the run this build's: when it began. None if the run is not this build's.

        The put decides; one that was repeated after a lost answer is refused too, so a refused one
        reads whom the object names."""
        mine = json.dumps({"build": build, "who": who(), "at": at}).encode()
        if self.s3.put_if_absent(self.bucket, self.key("started"), mine):
            return at
        named = self.started(self.run)
        if named is None:
            where = f"s3://{self.bucket}/{self.key('started')}"
            raise RunError(f"{where} does not say whose run this is: delete it. Nothing was done.")
        owner = named.get("build")
        if owner == build:
            return named.get("at") or at
        why = f"build {owner} has it" if owner else "it was given up before its build began"
        log.note(f"run {self.run} is not this build's: {why}. Nothing was done.")
        return None


def who() -> str:
    """This build, as Terraform's lock names its holder."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = os.environ.get("USER", "")
    return f"{user}@{os.uname().nodename}"


def json_object(body: bytes) -> dict[str, Any] | None:
    """None if the text is not a JSON object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
