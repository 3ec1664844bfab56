"""The role that a task names for its Terraform, assumed with the credentials of the run."""

import threading
from datetime import UTC, datetime, timedelta

from cts.build.aws import Aws
from cts.build.credentials import Credentials
from cts.build.errors import RunError

FRESH = timedelta(minutes=15)
"""How long credentials are valid at least when they are handed out: AWS's libraries ask for new
ones before the old ones expire, some of them a quarter of an hour before."""


class TaskRole:
    def __init__(self, arn: str, session: str, aws: Aws) -> None:
        self.arn, self.name, self.aws = arn, session, aws
        self._known: Credentials | None = None
        self._lock = threading.Lock()

    def credentials(self) -> Credentials:
        """Raises ConnectionError if the role can't be assumed, and its credentials have expired."""
        with self._lock:
            try:
                return self._fresh()
            except (RunError, ConnectionError) as error:
                if self._known is None or self._known.expires <= datetime.now(UTC):
                    raise ConnectionError(str(error)) from error
                return self._known

    def open(self) -> None:
        """Assume it for the first time. Raises RunError."""
        with self._lock:
            self._fresh()

    def _fresh(self) -> Credentials:
        if self._known is None or self._known.expires - datetime.now(UTC) < FRESH:
            doing = f"assuming the task's role {self.arn}"
            self._known = self.aws.assumed(doing, self.arn, self.name)
        return self._known
