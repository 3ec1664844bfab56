"""Translates botocore's errors to Unavailable (retry) or Refused (don't retry)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from cts.adapters.not_aws import UNREADABLE
from cts.errors import Invalid, Refused, Unavailable, Upstream

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
def translated(doing: str, hidden: str = "") -> Iterator[None]:
    """Translate errors raised inside to Unavailable or Refused; `doing` begins the message.
    `hidden`: what neither the message nor a traceback may show."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = Unavailable if status >= 500 or code_of(error) in TRY_AGAIN else Refused
        message = error.response["Error"].get("Message", "")
        _raise(kind, f"{doing}: {code_of(error)}: {message}", error, hidden)
    except ParamValidationError as error:
        _raise(Invalid, f"{doing}: {error}", error, hidden)
    except ResponseParserError:
        raise Unavailable(f"{doing}: {UNREADABLE}") from None
    except BotoCoreError as error:  # no response at all: connection, timeout, credentials
        _raise(Unavailable, f"{doing}: {error}", error, hidden)


def _raise(kind: type[Upstream], message: str, error: Exception, hidden: str) -> NoReturn:
    if hidden and hidden in str(error):
        raise kind(message.replace(hidden, "***")) from None
    raise kind(message) from error
