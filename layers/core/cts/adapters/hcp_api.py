"""Requests to HCP Terraform's API, which is JSON:API: its errors, rate limits and pages."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from cts.errors import Refused, Unavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    import httpx

MEDIA_TYPE = "application/vnd.api+json"
OK, ERROR, UNAUTHORIZED, NOT_FOUND, CONFLICT, UNPROCESSABLE = 200, 400, 401, 404, 409, 422
TOO_MANY, SERVER_ERROR = 429, 500
TIMEOUT = 10.0
PATIENCE = 25.0
"""Seconds that one use of the API may wait in all: a function has 45 or 60."""
PAUSE = 0.5
"""Seconds before another try, if the answer doesn't say when."""
TRIES = 3
"""Of a request that may be repeated, if the server fails."""
LARGEST_PAGE = 100
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
LIMITS = ("limit", "remaining", "reset")
SPARED = 0.4
"""Of the limit: with ten runs that start at once, the others need a third of 30 a second."""
MOST_TOLD = 3
"""Errors of an answer that are shown."""
LONGEST_TOLD = 500


@dataclass(frozen=True, slots=True)
class ApiReply:
    """An answer that is not a failure of the server."""

    status: int
    body: Mapping[str, Any]
    doing: str
    text: str = ""
    """Of an answer that is not JSON."""

    @property
    def is_error(self) -> bool:
        return self.status >= ERROR

    @property
    def resource(self) -> Any:
        """What was asked for. Raises Refused with what is wrong."""
        if self.is_error:
            raise self.refused()
        return self.body.get("data")

    def refused(self) -> Refused:
        what = "; ".join(_errors(self.body)) or f"HTTP {self.status}"
        if self.status == UNAUTHORIZED:
            what += ": the token is not valid: store a new one with `cts secret set TFC_TOKEN`"
        elif self.status == NOT_FOUND:
            what += ": it does not exist, or the token is not allowed to do this"
        return Refused(f"{self.doing}: {what}")


class Pace:
    """Keeps a function below the server's limit, which it shares with others: it waits as soon as a
    part of the limit is left, so that requests of the others that are under way find room."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_at = 0.0

    def seconds(self) -> float:
        """To wait before the next request."""
        return max(0.0, self._free_at - self._now())

    def note(self, headers: Mapping[str, str]) -> None:
        limit, left, reset = (headers.get(f"x-ratelimit-{name}", "") for name in LIMITS)
        try:
            if float(left) <= float(limit) * SPARED:
                self._free_at = self._now() + float(reset)
        except ValueError:
            return  # some servers have no limit


class ApiToken(Protocol):
    def __call__(self) -> str: ...
    def forget(self) -> None: ...


class HcpApi:
    """One use of the API. `address`: the server's. Each method raises Unavailable, and Refused if
    there is no token."""

    def __init__(
        self,
        client: httpx.Client,
        address: str,
        token: ApiToken,
        sleep: Callable[[float], None],
        pace: Pace,
        patience: float = PATIENCE,
    ) -> None:
        self._pace = pace
        self._client = client
        self._address = address
        self._token = token
        self._sleep = sleep
        self._patience = patience

    def get(self, doing: str, path: str, **query: str) -> ApiReply:
        return self._repeated(doing, "GET", path, query=query)

    def patch(self, doing: str, path: str, data: Mapping[str, Any]) -> ApiReply:
        return self._repeated(doing, "PATCH", path, {"data": data})

    def delete(self, doing: str, path: str) -> None:
        """What is gone already is fine, as after a try whose answer was lost. Raises Refused."""
        reply = self._repeated(doing, "DELETE", path)
        if reply.is_error and reply.status != NOT_FOUND:
            raise reply.refused()

    def post(self, doing: str, path: str, body: Mapping[str, Any] | None = None) -> ApiReply:
        """Never repeated: if it raises Unavailable, it may have been done or not."""
        return self._sent(doing, "POST", path, body or {})

    def pages(self, doing: str, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """The resources of all pages. Raises Refused."""
        number: int | None = 1
        while number:
            page = {"page[number]": str(number), "page[size]": str(LARGEST_PAGE)}
            reply = self.get(doing, path, **query, **page)
            yield from reply.resource
            pagination = reply.body.get("meta", {}).get("pagination") or {}
            number = pagination.get("next-page")

    def upload(self, doing: str, url: str, body: bytes) -> None:
        """To a URL that is a secret itself, so that no token goes with it."""
        headers = {"Content-Type": "application/octet-stream"}
        reply = self._tried(doing, "PUT", url, headers, body)
        if reply.is_error:
            raise Refused(f"{doing}: HTTP {reply.status}")

    def text(self, doing: str, url: str) -> str:
        """A log, at a URL that is a secret itself. Relative ones of compatible servers need the
        token."""
        if url.startswith("/"):
            return self._tried(doing, "GET", f"{self._address}{url}", self._headers(), b"").text
        return self._tried(doing, "GET", url, {}, b"").text

    # ---- one request --------------------------------------------------------------------------

    def _repeated(
        self,
        doing: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> ApiReply:
        """For requests that do the same however often they are sent."""
        for _ in range(TRIES - 1):
            try:
                return self._sent(doing, method, path, body, query)
            except Unavailable:
                self._wait(doing, PAUSE)
        return self._sent(doing, method, path, body, query)

    def _sent(
        self,
        doing: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> ApiReply:
        url = f"{self._address}/api/v2{path}"
        content = json.dumps(body).encode() if body is not None else b""
        while True:
            reply = self._once(doing, method, url, self._headers(), content, query)
            if not isinstance(reply, float):
                return reply
            self._wait(doing, reply)  # too many requests: this one was not done

    def _tried(
        self, doing: str, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> ApiReply:
        for _ in range(TRIES - 1):
            try:
                found = self._once(doing, method, url, headers, body)
            except Unavailable:
                found = PAUSE
            if isinstance(found, ApiReply):
                return found
            self._wait(doing, found)
        found = self._once(doing, method, url, headers, body)
        if isinstance(found, ApiReply):
            return found
        raise Unavailable(f"{doing}: too many requests")

    def _once(
        self,
        doing: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, str] | None = None,
    ) -> ApiReply | float:
        """The answer, or after how many seconds the server takes requests again."""
        import httpx

        self._client.cookies.clear()  # a session would count more than the token
        if (pause := self._pace.seconds()) > 0:
            self._wait(doing, pause)
        try:
            answer = self._client.request(
                method, url, headers=dict(headers), content=body, params=query or None
            )
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            if UNTRUSTED in what:
                what += ": name the CA that has signed it in the parameter HcpCaArn"
            raise Unavailable(f"{doing}: {what}") from None  # its request shows the token
        self._pace.note(answer.headers)
        if answer.status_code == UNAUTHORIZED:
            self._token.forget()  # it may have been replaced
        if answer.status_code == TOO_MANY:
            return _reset(answer.headers.get("x-ratelimit-reset", ""))
        body_of = _object(answer.content)
        if answer.status_code >= SERVER_ERROR and not _errors(body_of):
            raise Unavailable(f"{doing}: HTTP {answer.status_code}")
        text = "" if body_of else answer.text
        return ApiReply(answer.status_code, body_of, doing, text)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}", "Content-Type": MEDIA_TYPE}

    def _wait(self, doing: str, seconds: float) -> None:
        if seconds > self._patience:
            raise Unavailable(f"{doing}: HCP Terraform takes no requests for {seconds:.0f} s")
        self._patience -= seconds
        self._sleep(seconds)


@lru_cache(maxsize=1)
def client(trusted: ssl.SSLContext | None) -> httpx.Client:
    """One for as long as the same CAs are trusted; None: the public ones."""
    import httpx

    return httpx.Client(timeout=TIMEOUT, verify=trusted or True)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _errors(body: Mapping[str, Any]) -> list[str]:
    """What an answer says is wrong; some entries are bare texts."""
    found = body.get("errors")
    told = [
        str(each.get("detail") or each.get("title") or "") if isinstance(each, dict) else str(each)
        for each in (found if isinstance(found, list) else [])
    ]
    return [text[:LONGEST_TOLD] for text in told if text][:MOST_TOLD]


def _reset(text: str) -> float:
    try:
        return max(PAUSE / 10, float(text))
    except ValueError:
        return PAUSE
