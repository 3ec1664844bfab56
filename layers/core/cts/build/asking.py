"""One question over HTTP, asked again while the answer is an outage."""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cts.build.errors import RunError

SECONDS = 10.0
"""Longest wait for one answer."""
ATTEMPTS = 5
PAUSE = 0.2
"""Seconds before the second attempt; twice that before each further one."""
TOO_MANY = 429
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token in the headers to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def is_outage(answer: Reply) -> bool:
    return answer.status >= SERVER_ERROR or answer.status == TOO_MANY


def asked(
    doing: str,
    request: Callable[[], urllib.request.Request],
    ends_at: float,
    *,
    context: ssl.SSLContext | None = None,
    passes: Callable[[Reply], bool] = is_outage,
) -> Reply:
    """The answer, whatever its status. `request` makes one for each attempt; `passes` tells
    which answers are worth another one, in half of the time until `ends_at` (monotonic). Raises
    RunError, which may be retried, if there is no other answer."""
    handlers = [urllib.request.HTTPSHandler(context=context)] if context else []
    opener = urllib.request.build_opener(_NoRedirect, *handlers)
    began = time.monotonic()
    until, problem = began + (ends_at - began) / 2, ""
    for attempt in range(ATTEMPTS):
        pause = PAUSE * 2 ** (attempt - 1) if attempt else 0
        left = until - time.monotonic() - pause
        if attempt and left < 0:
            break
        time.sleep(pause)
        try:
            answer = _answer(opener, request(), min(SECONDS, max(1, left)))
        except (OSError, http.client.HTTPException) as error:
            problem = f"{getattr(error, 'reason', error)}"
            continue
        if not passes(answer):
            return answer
        problem = f"HTTP {answer.status}"
    raise RunError(f"{doing}: {problem}")


def _answer(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, seconds: float
) -> Reply:
    try:
        with opener.open(request, timeout=seconds) as answer:
            return Reply(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read())
