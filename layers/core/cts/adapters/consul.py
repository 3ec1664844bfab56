"""Consul's HTTP API: one query per view, blocking when an index is given."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from cts.errors import Refused, Unavailable
from cts.watch.query import Kind, Params, View, request
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer

INDEX = "X-Consul-Index"
FILTERED = "X-Consul-Results-Filtered-By-ACLs"
ANSWER_WITHIN = 15.0
"""Seconds an answer may take beyond the wait that was asked for. Consul itself adds up to a
sixteenth of the wait."""
STREAMS = 80
"""Queries held by one client over TLS: httpx keeps at most 100 streams on a connection, and never
opens a second one."""
CONNECTIONS = 10
"""Queries held by one client over plain HTTP, each on a connection of its own. Whenever a query
begins or ends, httpx looks at all pairs of a client's connections."""
KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", socket.TCP_KEEPINTVL), 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""A connection that died silently is found within about a minute."""
CATALOG_INDEX: tuple[tuple[str, dict[str, str]], ...] = (
    ("/v1/catalog/services", {"node-meta": "cts:none"}),
    ("/v1/health/state/none", {}),
)
"""Two requests of constant size whose indices are the newest of services, nodes and checks."""


class Token(Protocol):
    def __call__(self) -> str: ...
    def forget(self) -> None: ...


class Consul:
    def __init__(
        self,
        address: str,
        token: Token,
        ca: str = "",
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._address = with_scheme(address)
        self._secure = urlsplit(self._address).scheme == "https"
        self._token = token
        self._ca = ca
        self._transport = transport or self._tcp
        self._clients: list[httpx.AsyncClient] = []
        self._spread: dict[View, int] = {}

    async def ask(
        self, view: View, *, index: int = 0, wait: int = 0, consistent: bool = False
    ) -> Answer:
        """The view's value now, or, with an index, once it moves or `wait` seconds are over."""
        asked = request(view, index=index, wait=wait, consistent=consistent)
        deadline = ANSWER_WITHIN + wait * (1 + 1 / 16)
        response = await self._get(self._client(view), asked.path, asked.params, deadline)
        filtered = response.headers.get(FILTERED) == "true"
        if filtered and view.kind is Kind.SERVICE:
            raise Refused(
                f"asking Consul for {view}: its answer was filtered by ACLs; "
                "the token needs service:read and node:read for it"
            )
        try:
            return Answer(_index(response), snapshot(view, response.json()), filtered)
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"asking Consul for {view}: not Consul's JSON: {error!r}") from error

    async def newest_indices(self) -> tuple[int, ...]:
        client = self._client(View(Kind.LISTING))
        answers = [
            await self._get(client, path, params, ANSWER_WITHIN) for path, params in CATALOG_INDEX
        ]
        return tuple(_index(answer) for answer in answers)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def _get(
        self, client: httpx.AsyncClient, path: str, params: Params, deadline: float
    ) -> httpx.Response:
        doing = f"asking Consul at {self._address} for {path}"
        token = self._token()
        headers = {"X-Consul-Token": token} if token else {}
        try:
            async with asyncio.timeout(deadline):
                response = await client.get(path, params=params, headers=headers)
        except TimeoutError as error:
            raise Unavailable(f"{doing}: no answer within {deadline:.0f} s") from error
        except httpx.TransportError as error:
            raise Unavailable(f"{doing}: {str(error) or type(error).__name__}") from error
        if response.status_code in (401, 403):
            self._token.forget()
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Unavailable(f"{doing}: HTTP {response.status_code}: {response.text[:200]}")
        if not response.is_success:
            raise Refused(f"{doing}: HTTP {response.status_code}: {response.text[:200]}")
        return response

    def _client(self, view: View) -> httpx.AsyncClient:
        held = STREAMS if self._secure else CONNECTIONS
        number = self._spread.setdefault(view, len(self._spread)) // held
        while len(self._clients) <= number:
            self._clients.append(
                httpx.AsyncClient(
                    base_url=self._address,
                    transport=self._transport(),
                    timeout=httpx.Timeout(None, connect=5.0),
                )
            )
        return self._clients[number]

    def _tcp(self) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(
            http2=self._secure,
            verify=_context(self._ca) if self._secure else False,
            limits=httpx.Limits(max_connections=None, keepalive_expiry=60),
            socket_options=KEEP_ALIVE,
        )


def with_scheme(address: str) -> str:
    """`10.0.0.5:8500` is a complete address for Consul and CTS: plain HTTP."""
    return address if "://" in address else f"http://{address}"


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(cadata=ca)
    return context


def _index(response: httpx.Response) -> int:
    index = response.headers.get(INDEX)
    if index is None:
        raise Unavailable(f"asking {response.url}: the answer has no {INDEX}: is it Consul?")
    return int(index)
