"""Every exception this package raises on purpose.

* CtsError
  x MissingSetting       a function's environment lacks a value that template.yaml sets
  x BadRequest           the reader was asked for what its API doesn't know
  x NotAllowed           a method the path doesn't have
  x NoSuchPath           a path the reader doesn't have
  x TaskNotFound         no task of that name
  x RunNotFound          no run of that id
  x NoLog                the run has written none yet
  x NotLookedAfter       the sweep could not look after everything
  x Upstream             something outside answered badly
    + Unavailable          try again later: time-outs, 5xx, throttling
    + Missing              an object that should exist does not
    + Unreadable           what is stored is not what this program understands
    + Refused              something has to change first: 4xx, access denied
      - Invalid              our own request is wrong
      - NoBuildsAllowed      the account may not run CodeBuild builds at all
"""

from collections.abc import Sequence

MOST_TOLD = 10
"""Errors that one error tells of, if it is about many."""


class CtsError(Exception):
    """The root: a sentence for the user."""


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
    """The request is not one that the API knows."""


class NotAllowed(CtsError):
    def __init__(self, method: str, api: str) -> None:
        super().__init__(
            f"'{method}' in an unsupported method. The {api} API currently supports "
            "the method(s): 'GET'"
        )


class NoSuchPath(CtsError):
    def __init__(self) -> None:
        super().__init__("404 page not found")


class NoLog(CtsError):
    def __init__(self, run: str) -> None:
        super().__init__(f"run '{run}' has no log yet: its build writes it after its first step")


class NotLookedAfter(CtsError):
    def __init__(self, errors: Sequence[CtsError]) -> None:
        told = "; ".join(str(error) for error in errors[:MOST_TOLD])
        super().__init__(f"{len(errors)} could not be looked after: {told}")


class Upstream(CtsError):
    """Something outside answered badly."""


class Unavailable(Upstream):
    """Try again later."""


class Missing(Upstream):
    def __init__(self, key: str) -> None:
        super().__init__(f"reading {key}: it does not exist")


class Unreadable(Upstream):
    """What is stored is not what this program understands."""


class Refused(Upstream):
    """Trying the same again will not help before something else changes: a role's rights, say."""


class Invalid(Refused):
    """Our own request is wrong: a mistake of this program, which no repeat mends."""


class NoBuildsAllowed(Refused):
    """AWS holds CodeBuild back for this account, whatever Service Quotas shows."""
