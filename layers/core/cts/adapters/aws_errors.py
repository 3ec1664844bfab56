"""Translates botocore's errors to Unavailable (retry) or Refused (don't retry)."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from cts.errors import Invalid, Refused, Unavailable

TRY_AGAIN = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translate errors raised inside to Unavailable or Refused; `doing` begins the message."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = Unavailable if status >= 500 or code_of(error) in TRY_AGAIN else Refused
        message = error.response["Error"].get("Message", "")
        raise kind(f"{doing}: {code_of(error)}: {message}") from error
    except ParamValidationError as error:
        raise Invalid(f"{doing}: {error}") from error
    except BotoCoreError as error:  # no response at all: connection, timeout, credentials
        raise Unavailable(f"{doing}: {error}") from error
