"""Consul's HTTP API: one query per view, blocking when an index is given."""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx

from cts.errors import Refused, Unavailable
from cts.watch.query import Kind, Request, View, request
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer

INDEX = "X-Consul-Index"
FILTERED = "X-Consul-Results-Filtered-By-ACLs"
DEFAULT_POLICY = "X-Consul-Default-ACL-Policy"
BAD_FILTER = "boolean expression evaluator"
"""Consul answers a filter that it can't read with HTTP 500 and these words."""
ANSWER_WITHIN = 15.0
"""Seconds an answer may take beyond the wait that was asked for. Consul itself adds up to a
sixteenth of the wait."""
CONNECT_WITHIN = 5.0
HELD = 10
"""Queries held by one client, each on a connection of its own. Whenever a query begins or ends,
httpx looks at all pairs of a client's connections."""
SHORT = 8
"""Connections for all queries that are answered at once."""
TURN_WITHIN = 300.0
"""Seconds a query waits for one of them: a Consul that is silent must not outlast a poller."""
MOST_BYTES = 32 * 1024 * 1024
"""Of an answer, unpacked: more than 20,000 instances of one service take. What is made of it takes
several times that, and a poller has 512 MB."""
KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", socket.TCP_KEEPINTVL), 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""A connection that died silently is found within about a minute."""
CATALOG_INDEX = (
    Request("/v1/catalog/services", {"node-meta": "cts:none"}),
    Request("/v1/health/state/none", {}),
)
"""Two requests of constant size whose indices are the newest of services and nodes, and of
checks."""

Transport = Callable[[ssl.SSLContext | None, int], httpx.AsyncBaseTransport]
"""Makes one, given whom to trust (None: plain HTTP) and how many connections it may have."""


class Token(Protocol):
    async def __call__(self) -> str: ...
    def forget(self, token: str) -> None: ...


class Authorities(Protocol):
    async def __call__(self) -> ssl.SSLContext: ...


def tcp(trusted: ssl.SSLContext | None, connections: int) -> httpx.AsyncBaseTransport:
    return httpx.AsyncHTTPTransport(
        verify=trusted or False,
        limits=httpx.Limits(max_connections=connections, keepalive_expiry=60),
        socket_options=KEEP_ALIVE,
    )


@dataclass(slots=True)
class _Holder:
    """A client, and how many queries it holds now."""

    http: httpx.AsyncClient
    held: int = 0


@dataclass(frozen=True, slots=True)
class _Reply:
    headers: httpx.Headers
    body: bytes
    token: bool


class Consul:
    """HTTP/1.1, so a connection for each held query: httpcore reads what belongs to many streams
    of one connection one stream after the other, and a change would wait for them all."""

    def __init__(
        self, address: str, token: Token, authorities: Authorities, transport: Transport = tcp
    ) -> None:
        """`authorities`: who may have signed Consul's certificate; asked over HTTPS only."""
        self._address = with_scheme(address)
        self._shown = re.sub(r"//.*@", "//", self._address)
        self._token = token
        self._authorities = authorities
        self._transport = transport
        self._holders: list[_Holder] = []
        self._short: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(SHORT)

    async def ask(
        self, view: View, *, index: int = 0, wait: int = 0, consistent: bool = False
    ) -> Answer:
        """The view's value now, or, with an index, once it moves or `wait` seconds are over."""
        asked = request(view, index=index, wait=wait, consistent=consistent)
        deadline = ANSWER_WITHIN + (wait * (1 + 1 / 16) if index else 0)
        async with self._holding() if index else self._briefly() as client:
            reply = await self._get(client, asked, deadline)
        filtered = reply.headers.get(FILTERED) == "true"
        if filtered and view.kind is Kind.SERVICE:
            raise Refused(
                f"asking Consul for {view}: its answer was filtered by ACLs; "
                "the token needs service:read and node:read for it"
            )
        try:
            made = snapshot(view, json.loads(reply.body))
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"asking Consul for {view}: not Consul's JSON: {error}") from None
        denies = reply.headers.get(DEFAULT_POLICY) == "deny"
        return Answer(_index(str(view), reply), made, filtered, reply.token, denies)

    async def newest_indices(self) -> tuple[int, ...]:
        """Of services and nodes, and of checks: each goes back only if Consul lost its data."""
        client = await self._short_client()
        replies = [await self._get(client, each, ANSWER_WITHIN) for each in CATALOG_INDEX]
        return tuple(_index("its newest index", reply) for reply in replies)

    async def close(self) -> None:
        clients = [holder.http for holder in self._holders]
        for client in [*clients, self._short] if self._short else clients:
            await client.aclose()

    async def _get(self, client: httpx.AsyncClient, asked: Request, deadline: float) -> _Reply:
        doing = f"asking Consul at {self._shown} for {asked.path}"
        token = await self._token()
        headers = {"X-Consul-Token": token} if token else {}
        try:
            async with (
                asyncio.timeout(deadline),
                client.stream("GET", asked.path, params=asked.params, headers=headers) as response,
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
        if not response.is_success:
            text = body.decode(errors="replace")[:200]
            text = text.replace(token, "***") if token else text
            again = status >= 500 and BAD_FILTER not in text
            kind = Unavailable if again or status == httpx.codes.TOO_MANY_REQUESTS else Refused
            raise kind(f"{doing}: HTTP {status}: {text}")
        return _Reply(response.headers, body, bool(token))

    # ---- connections ------------------------------------------------------------------------

    @asynccontextmanager
    async def _holding(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a connection to spare."""
        trusted = await self._trusted()
        holder = next((each for each in self._holders if each.held < HELD), None)
        if holder is None:
            holder = _Holder(self._client(trusted, HELD))
            self._holders.append(holder)
        holder.held += 1
        try:
            yield holder.http
        finally:
            holder.held -= 1

    @asynccontextmanager
    async def _briefly(self) -> AsyncIterator[httpx.AsyncClient]:
        """The client of all that is answered at once, when it is one's turn."""
        try:
            async with asyncio.timeout(TURN_WITHIN):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable(
                f"asking Consul at {self._shown}: within {TURN_WITHIN:.0f} s it has not answered "
                "what was asked before"
            ) from None
        try:
            yield await self._short_client()
        finally:
            self._slots.release()

    async def _short_client(self) -> httpx.AsyncClient:
        trusted = await self._trusted()
        if self._short is None:
            # More than there are turns: the newest indices, asked by a pass and by a heartbeat,
            # wait for nobody.
            self._short = self._client(trusted, SHORT + 2)
        return self._short

    async def _trusted(self) -> ssl.SSLContext | None:
        return await self._authorities() if self._address.startswith("https:") else None

    def _client(self, trusted: ssl.SSLContext | None, connections: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=_url(self._address),
            transport=self._transport(trusted, connections),
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
        "asking Consul: the parameter ConsulAddress is no address: it must be http:// or "
        "https://, a host, and a port where it is not the scheme's own"
    )


async def _whole(doing: str, response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            most = MOST_BYTES // 1024 // 1024
            raise Refused(f"{doing}: the answer has more than {most} MB, so it is not read")
    return bytes(body)


def _said(error: Exception) -> str:
    """Why there is no answer. A protocol error's text may hold a header, and so the token."""
    kind = type(error).__name__
    return kind if isinstance(error, httpx.ProtocolError) else str(error) or kind


def _index(what: str, reply: _Reply) -> int:
    index = reply.headers.get(INDEX, "")
    if not re.fullmatch("[0-9]{1,20}", index):
        raise Unavailable(f"asking Consul for {what}: the answer has no {INDEX}: is it Consul?")
    return int(index)
