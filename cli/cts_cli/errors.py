"""Errors that end a command: a sentence for the user, and the exit code."""


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
