"""Errors that end a command: a sentence for the user, and the exit code."""

from enum import IntEnum


class CommandError(Exception):
    """Wrong usage, or something cannot be reached."""

    exit_code = 2


class NotFound(CommandError):
    """The reader has nothing by that name."""


class OlderStack(CommandError):
    def __init__(self) -> None:
        super().__init__("the deployed stack is older than this command: deploy this version first")


class NoCredentials(CommandError):
    def __init__(self) -> None:
        super().__init__(
            "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


class ExitCode(IntEnum):
    """CTS's, of `cts task`."""

    OK = 0
    COMMAND = 1
    ERROR = 11
    REQUIRED = 13
    FLAGS = 14
