"""Consul's HTTP API: one query per view, blocking when an index is given."""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from cts.errors import Refused, Unavailable
from cts.watch.query import CONSISTENT, DEFAULT, STALE, ConsulRequest, View, request
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer

INDEX = "X-Consul-Index"
FILTERED = "X-Consul-Results-Filtered-By-ACLs"
DEFAULT_POLICY = "X-Consul-Default-ACL-Policy"
BAD_FILTER = "boolean expression evaluator"
"""Consul answers a filter that it can't read with HTTP 500 and these words."""
STRICT = ("Key Identifier", "Basic Constraints", "key usage")
"""Words of OpenSSL for a certificate that breaks a rule of RFC 5280. Python 3.13 refuses such ones
where the system's CAs are trusted."""
ANSWER_WITHIN = 15.0
"""Seconds an answer may take beyond the wait that was asked for. Consul itself adds up to a
sixteenth of the wait."""
CONNECT_WITHIN = 5.0
SHORT = 8
"""Queries that are answered at once, at a time."""
TURN_WITHIN = 300.0
"""Seconds a query waits for one of them: a Consul that is silent must not outlast a poller."""
MOST_BYTES = 8 * 1024 * 1024
"""Of an answer, unpacked: more than 5,000 instances of one service take. What is made of it takes
up to 27 times that, and a poller has 512 MB."""
KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", socket.TCP_KEEPINTVL), 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""A connection that died silently is found within about a minute."""

Transport = Callable[[ssl.SSLContext | None], httpx.AsyncBaseTransport]
"""Makes one, given whom to trust (None: plain HTTP)."""


class TokenSource(Protocol):
    async def __call__(self) -> str: ...
    def forget(self, token: str) -> None: ...


class Authorities(Protocol):
    async def __call__(self) -> ssl.SSLContext: ...


def tcp(trusted: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(
        verify=trusted or False,
        limits=httpx.Limits(max_connections=1, keepalive_expiry=60),
        socket_options=KEEP_ALIVE,
    )


class _Handshake:
    """Closes the connection of a handshake that is cancelled: httpcore only does so if it fails."""

    async def __call__(self, step: str, facts: Mapping[str, Any]) -> None:
        if step == "connection.connect_tcp.complete":
            self._stream = facts["return_value"]
        elif step == "connection.start_tls.failed":
            await self._stream.aclose()


@dataclass(frozen=True, slots=True)
class _Reply:
    headers: httpx.Headers
    body: bytes
    token: bool


class Consul:
    """HTTP/1.1, so a connection for each held query: httpcore reads what belongs to many streams
    of one connection one stream after the other, and a change would wait for them all."""

    def __init__(
        self,
        address: str,
        token: TokenSource,
        authorities: Authorities,
        transport: Transport = tcp,
        consistency: str = DEFAULT,
    ) -> None:
        """`authorities`: CAs trusted to sign Consul's certificate; used with HTTPS only.
        `consistency`: Consul's mode of queries for which nothing else is said."""
        self._address = with_scheme(address)
        self._shown = re.sub(r"//.*@", "//", self._address)
        self._token = token
        self._authorities = authorities
        self._transport = transport
        self._consistency = consistency
        self._free: list[httpx.AsyncClient] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(SHORT)

    async def ask(
        self,
        view: View,
        *,
        index: int = 0,
        wait: int = 0,
        consistent: bool = False,
        from_leader: bool = False,
    ) -> Answer:
        """The view's value now, or, with an index, once it moves or `wait` seconds are over."""
        mode = DEFAULT if from_leader and self._consistency == STALE else self._consistency
        mode = CONSISTENT if consistent else mode
        asked = request(view, index=index, wait=wait, consistency=mode)
        deadline = ANSWER_WITHIN + (wait * (1 + 1 / 16) if index else 0)
        absent = view.kind.may_be_absent
        async with self._connection() if index else self._turn() as client:
            reply = await self._get(client, asked, deadline, may_be_absent=absent)
        filtered = reply.headers.get(FILTERED) == "true"
        if filtered and view.kind.whole:
            raise Refused(
                f"asking Consul for {view}: its answer was filtered by ACLs; "
                f"the token needs {view.kind.whole} for it"
            )
        try:
            made = snapshot(view, json.loads(reply.body) if reply.body else None)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"asking Consul for {view}: not Consul's JSON: {error}") from None
        denies = reply.headers.get(DEFAULT_POLICY) == "deny"
        return Answer(_index(str(view), reply), made, filtered, reply.token, denies)

    async def newest(self, probe: View) -> int:
        """The index of a probe, from the leader: what another server knows may be older, and would
        look like a restore. Waits for no other query."""
        asked, absent = request(probe), probe.kind.may_be_absent
        async with self._connection() as client:
            reply = await self._get(client, asked, ANSWER_WITHIN, may_be_absent=absent)
        return _index(str(probe), reply)

    async def close(self) -> None:
        for client in self._free:
            self._close(client)
        self._free.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _get(
        self,
        client: httpx.AsyncClient,
        asked: ConsulRequest,
        deadline: float,
        *,
        may_be_absent: bool = False,
    ) -> _Reply:
        doing = f"asking Consul at {self._shown} for {asked.path}"
        token = await self._token()
        headers = {"X-Consul-Token": token} if token else {}
        try:
            async with (
                asyncio.timeout(deadline),
                client.stream(
                    "GET",
                    asked.path,
                    params=asked.params,
                    headers=headers,
                    extensions={"trace": _Handshake()},
                ) as response,
            ):
                body = await _whole(doing, response)
        except TimeoutError:
            raise Unavailable(f"{doing}: no answer within {deadline:.0f} s") from None
        except (httpx.NetworkError, httpx.ConnectTimeout, OSError) as error:
            # TLS alerts come as the last. Without the path: all views have one reason.
            raise Unavailable(f"asking Consul at {self._shown}: {_said(error)}") from None
        except httpx.RequestError as error:
            raise Unavailable(f"{doing}: {_said(error)}") from None
        status = response.status_code
        if status in (401, 403):
            self._token.forget(token)
        if may_be_absent and status == httpx.codes.NOT_FOUND and INDEX in response.headers:
            body = b""
        elif not response.is_success:
            text = body.decode(errors="replace")[:200]
            text = text.replace(token, "***") if token else text
            again = status >= 500 and BAD_FILTER not in text
            if BAD_FILTER in text:
                doing += f": Consul can't read the filter {asked.params.get('filter', '')}"
            kind = Unavailable if again or status == httpx.codes.TOO_MANY_REQUESTS else Refused
            raise kind(f"{doing}: HTTP {status}: {text}")
        return _Reply(response.headers, body, bool(token))

    # ---- connections ------------------------------------------------------------------------

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client with one connection. After anything but an answer it is thrown away: a query
        that is cancelled while its answer is closed leaves httpcore's pool busy for good."""
        client = self._free.pop() if self._free else self._client(await self._trusted())
        answered = False
        try:
            yield client
            answered = True
        finally:
            if answered:
                self._free.append(client)
            else:
                self._close(client)

    def _close(self, client: httpx.AsyncClient) -> None:
        closing = asyncio.create_task(client.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[httpx.AsyncClient]:
        """The same, once a connection is free."""
        try:
            async with asyncio.timeout(TURN_WITHIN):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable(
                f"asking Consul at {self._shown}: earlier queries were not answered within "
                f"{TURN_WITHIN:.0f} s"
            ) from None
        try:
            async with self._connection() as client:
                yield client
        finally:
            self._slots.release()

    async def _trusted(self) -> ssl.SSLContext | None:
        return await self._authorities() if self._address.startswith("https:") else None

    def _client(self, trusted: ssl.SSLContext | None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=_url(self._address),
            transport=self._transport(trusted),
            timeout=httpx.Timeout(None, connect=CONNECT_WITHIN),
        )


def with_scheme(address: str) -> str:
    """`10.0.0.5:8500` is a complete address for Consul and CTS: plain HTTP."""
    return address if "://" in address else f"http://{address}"


def _url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
        if url.host and (url.port is None or 0 < url.port < 2**16):
            return url
    except (httpx.InvalidURL, UnicodeError):
        pass
    raise Refused(
        "asking Consul: the parameter ConsulAddress is not a valid address: write http:// or "
        "https://, a host, and the port unless it is the scheme's default"
    )


async def _whole(doing: str, response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            most = MOST_BYTES // 1024 // 1024
            raise Refused(f"{doing}: the answer is larger than {most} MB, so it is not read")
    return bytes(body)


def _said(error: Exception) -> str:
    """Why there is no answer. A protocol error's text may hold a header, and so the token."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, httpx.ProtocolError):
        return kind
    if "CERTIFICATE_VERIFY_FAILED" in text and any(word in text for word in STRICT):
        return (
            f"{text}. A certificate or its CA breaks this rule of RFC 5280. Sign it again with "
            "that extension, or name the CA in the parameter ConsulCaArn: it is then trusted as "
            "it is"
        )
    return text or kind


def _index(what: str, reply: _Reply) -> int:
    index = reply.headers.get(INDEX, "")
    if not re.fullmatch("[0-9]{1,20}", index):
        raise Unavailable(f"asking Consul for {what}: the answer has no {INDEX}: is it Consul?")
    return int(index)
