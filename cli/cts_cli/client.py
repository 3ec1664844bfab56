"""Clients for the HTTP APIs, signed for IAM (Signature Version 4, service `lambda`)."""

import json
import os
import re
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cts_cli.aws import RENEW, Stack, credentials_of, explaining_errors, if_local
from cts_cli.errors import CommandError, NotFound, OlderStack

TRIES = 4
FIRST_PAUSE = 0.3
TRY_AGAIN = frozenset({429, 502, 503, 504})
OF_LIVE = frozenset({"contract", "digest", "tasks", "waiting", "warnings"})
"""Fields of the live generation that push and rollback need."""
TIMEOUT = httpx.Timeout(30, connect=5)


class Signed(httpx.Auth):
    def __init__(self, session: boto3.Session) -> None:
        self._credentials = credentials_of(session)
        self._region = session.region_name

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        signed = AWSRequest(method=request.method, url=str(request.url), data=request.content)
        with explaining_errors("reading the AWS credentials"):
            credentials = self._credentials.get_frozen_credentials()
        SigV4Auth(credentials, "lambda", self._region).add_auth(signed)
        request.headers.update(dict(signed.headers))
        yield request


class Emulated(httpx.HTTPTransport):
    """Connects to an AWS emulator, but keeps the host name that the request was signed for."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = httpx.URL(endpoint)
        super().__init__(verify=self._endpoint.scheme == "https")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        at = self._endpoint
        request.url = request.url.copy_with(scheme=at.scheme, host=at.host, port=at.port)
        return super().handle_request(request)


def transport() -> httpx.BaseTransport | None:
    """None means httpx's own transport, which honours the environment's proxy settings."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return Emulated(endpoint) if endpoint else None


def signing(session: boto3.Session, timeout: httpx.Timeout) -> httpx.Client:
    return httpx.Client(auth=Signed(session), transport=transport(), timeout=timeout)


class Client:
    """Repeats requests after transient errors, which is safe: some only read, and what the others
    ask for twice happens once."""

    NAME: ClassVar[str]

    def __init__(
        self, session: boto3.Session, url: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._base = url.rstrip("/")
        self._http = signing(session, TIMEOUT)
        self._pause = pause

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str | int] | None = None,
        body: bytes = b"",
    ) -> httpx.Response:
        # Quoted before signing, so that httpx leaves the URL as it was signed.
        url = "/".join([self._base, "v1", *(quote(each, safe="") for each in path)])
        if query:
            url = f"{url}?{urlencode(query, quote_via=quote)}"
        kind = {"content-type": "application/json"} if body else {}
        for attempt in range(TRIES):
            if attempt:
                self._pause(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                response = self._http.request(method, url, content=body, headers=kind)
            except httpx.TransportError as error:
                hint = if_local() if isinstance(error, httpx.ConnectError) else ""
                failure = CommandError(
                    f"cannot reach the {self.NAME} at {self._base}: {error}{hint}"
                )
                continue
            if response.is_success:
                return response
            failure = _failure(self.NAME, response)
            if response.status_code not in TRY_AGAIN:
                break
        raise failure

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise CommandError(
                f"the {self.NAME} at {self._base} returned something other than JSON: "
                f"{response.text[:200]}"
            ) from error


class Reader(Client):
    """The API that reads."""

    NAME = "reader"

    @classmethod
    def of(cls, stack: Stack, pause: Callable[[float], None] = time.sleep) -> "Reader":
        return cls(stack.session, stack.reader_url, pause)

    def get(self, *path: str, **query: str | int) -> Any:
        """The response's JSON. Raises NotFound or CommandError."""
        return self._json(self._ask("GET", path, query))

    def overview(self) -> dict[str, Any]:
        """The tasks by name, the configuration, the poller and the stale views."""
        try:
            found: dict[str, Any] = self.get("overview")
        except NotFound:  # an older stack
            tasks, configuration = self.get("status", "tasks"), self.get("configuration")
            return {"tasks": tasks, "configuration": configuration, **self.get("poller")}
        return found

    def live(self) -> Mapping[str, Any] | None:
        """The live generation. Raises CommandError if the deployed stack is too old."""
        live: Mapping[str, Any] | None = self.get("configuration")["live"]
        if live is not None and not _is_known(live):
            raise OlderStack
        return live

    def text(self, *path: str) -> str | None:
        """The response's text; None if nothing was found."""
        try:
            return self._ask("GET", path).text
        except NotFound:
            return None


class Api(Client):
    """The API that changes things."""

    NAME = "API"

    def __init__(self, stack: Stack, pause: Callable[[float], None] = time.sleep) -> None:
        if not stack.api_url:
            raise OlderStack
        super().__init__(stack.session, stack.api_url, pause)

    def post(self, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The response's JSON. Raises NotFound or CommandError."""
        return self._json(self._ask("POST", path, body=json.dumps(body).encode() if body else b""))


def _is_known(live: Mapping[str, Any]) -> bool:
    return live.keys() >= OF_LIVE and all(isinstance(each, dict) for each in live["tasks"].values())


def _failure(name: str, response: httpx.Response) -> CommandError:
    try:
        body = response.json()
        said = body["error"]["message"] if "error" in body else body["Message"]
    except (ValueError, KeyError, TypeError):
        said = response.text[:200]
    match response.status_code:
        case httpx.codes.NOT_FOUND:
            return NotFound(said)
        case httpx.codes.BAD_REQUEST | httpx.codes.CONFLICT:
            return CommandError(said)
        case httpx.codes.FORBIDDEN if re.search("security token|signature", said, re.IGNORECASE):
            return CommandError(f"the {name} refused the request ({said}): {RENEW}")
        case httpx.codes.FORBIDDEN:
            return CommandError(
                f"the {name} refused the request ({said}): you need the permissions "
                f"lambda:InvokeFunctionUrl and lambda:InvokeFunction on the {name}'s function"
            )
        case code:
            return CommandError(f"the {name} returned HTTP {code}: {said}")
