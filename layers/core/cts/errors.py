"""All exceptions that this package raises on purpose.

* CtsError
  x MissingSetting       a setting from template.yaml is missing from a function's environment
  x BadRequest           a request that the API does not support
  x NotSigned            a request to change something that does not say who makes it
  x Conflict             a change that the task's state forbids
  x NotDone              a change that was asked for could not be made
  x TookTooLong          a run that was waited for goes on
  x NotAllowed           a method that the path does not support
  x NoSuchPath           a path that the API does not have
  x NoCluster            a question about several instances of CTS
  x TaskNotFound         no task with that name
  x RunNotFound          no run with that ID
  x NoLog                the run has not written a log yet
  x Forged               a notification that is not signed with our key
  x NotLookedAfter       the sweep could not process everything
  x ProgramKilled        the program of a run in the warm lane was killed
  x Upstream             an external service failed
    + Unavailable          try again later: timeouts, 5xx, throttling
    + Missing              an object that should exist does not
    + Altered              an object does not contain what its name says
    + Unreadable           stored data is not in a form that this program understands
    + Refused              retrying does not help until something changes: 4xx, access denied
      - Invalid              our own request is wrong
      - NoBuildsAllowed      the account is not allowed to run CodeBuild builds
"""

from collections.abc import Sequence

MOST_TOLD = 10
"""Maximum number of individual errors in a message that reports several."""


class CtsError(Exception):
    """The base class. The message is a sentence for the user."""


class MissingSetting(CtsError):
    def __init__(self, name: str) -> None:
        super().__init__(f"reading settings: {name} is not set (template.yaml sets it)")


class TaskNotFound(CtsError):
    def __init__(self, task: str) -> None:
        super().__init__(
            f"a task with name '{task}' does not exist or has not been initialized yet"
        )


class RunNotFound(CtsError):
    def __init__(self, run: str) -> None:
        super().__init__(f"a run with id '{run}' does not exist or its history has expired")


class BadRequest(CtsError):
    """The API does not support the request."""


class NotSigned(CtsError):
    def __init__(self) -> None:
        super().__init__(
            "the request does not say who makes it: changes are made through the function's URL, "
            "with a signature"
        )


class Conflict(CtsError):
    """The task's state forbids the change."""

    def __init__(self, task: str, why: str) -> None:
        super().__init__(f"task '{task}' {why}")


class NotDone(CtsError):
    """The change, or its run, failed. The message says why."""


class TookTooLong(CtsError):
    def __init__(self, task: str, run: str) -> None:
        what = f"run '{run}' of task '{task}' has not ended yet, and goes on"
        if not run:
            what = f"the run of task '{task}' has not begun yet, and is still wanted"
        super().__init__(f"{what}. The request has waited as long as it can")


class NotAllowed(CtsError):
    def __init__(self, method: str, api: str, supported: str = "GET") -> None:
        super().__init__(
            f"'{method}' in an unsupported method. The {api} API currently supports "
            f"the method(s): '{supported}'"
        )


class NoSuchPath(CtsError):
    def __init__(self) -> None:
        super().__init__("404 page not found")


class NoCluster(CtsError):
    def __init__(self) -> None:
        super().__init__("this endpoint is only available with high availability configured")


class NoLog(CtsError):
    def __init__(self, run: str) -> None:
        super().__init__(f"run '{run}' has no log yet: its build writes it after its first step")


class NotLookedAfter(CtsError):
    def __init__(self, errors: Sequence[CtsError]) -> None:
        told = "; ".join(str(error) for error in errors[:MOST_TOLD])
        super().__init__(f"{len(errors)} could not be processed: {told}")


class ProgramKilled(CtsError):
    def __init__(self, run: str, signal: int) -> None:
        super().__init__(
            f"executing run {run}: its program was killed by signal {signal}, so it may have "
            "recorded nothing"
        )


class Forged(CtsError):
    def __init__(self) -> None:
        super().__init__("the notification is not signed with our key")


class Upstream(CtsError):
    """An external service failed."""


class Unavailable(Upstream):
    """Try again later."""


class Missing(Upstream):
    def __init__(self, key: str) -> None:
        super().__init__(f"reading {key}: it does not exist")


class Altered(Upstream):
    """An object's name contains the digest of its content, and the two don't agree."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(
            f"reading {key}: {what}, so it was changed after it was stored. "
            "Delete its newest version"
        )


class Unreadable(Upstream):
    """Stored data is not in a form that this program understands."""


class Refused(Upstream):
    """Retrying does not help until something else changes, such as a role's permissions."""


class Invalid(Refused):
    """Our own request is wrong: a bug in this program, so retrying does not help."""


class NoBuildsAllowed(Refused):
    """AWS does not let this account run builds, whatever Service Quotas shows."""
