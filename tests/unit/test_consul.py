"""Consul over HTTP: what is sent, and what each kind of answer means."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cts.adapters.consul import CONNECTIONS, STREAMS, Consul, with_scheme
from cts.errors import Refused, Unavailable, Upstream
from cts.watch.query import Kind, View
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer
from tests.fake_consul import instance
from tests.unit.virtual_time import VirtualTime, run

WEB, LISTING = View(Kind.SERVICE, "web"), View(Kind.LISTING)
Handler = Callable[[httpx.Request], httpx.Response]


class Token:
    def __init__(self, token: str = "") -> None:
        self.token, self.forgotten = token, 0

    def __call__(self) -> str:
        return self.token

    def forget(self) -> None:
        self.forgotten += 1


class Server:
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self, status: int = 200, *, index: int | None = 7, body: Any = None) -> None:
        self.status, self.index = status, index
        self.body = [] if body is None else body
        self.headers: dict[str, str] = {}
        self.requests: list[httpx.Request] = []
        self.token = Token()
        self.transports = 0

    def consul(self, address: str = "10.0.0.5:8500") -> Consul:
        return Consul(address, self.token, transport=self.transport)

    def transport(self) -> httpx.AsyncBaseTransport:
        self.transports += 1
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        index = {} if self.index is None else {"X-Consul-Index": str(self.index)}
        headers = {**index, **self.headers}
        if isinstance(self.body, bytes):
            return httpx.Response(self.status, headers=headers, content=self.body)
        return httpx.Response(self.status, headers=headers, json=self.body)


def asked(server: Server, view: View = WEB, **how: Any) -> Answer:
    consul = server.consul()

    async def ask() -> Answer:
        try:
            return await consul.ask(view, **how)
        finally:
            await consul.close()

    return run(VirtualTime(), ask())


def test_an_answer_is_index_and_snapshot() -> None:
    server = Server(body=[instance("web")])
    assert asked(server) == Answer(7, snapshot(WEB, [instance("web")]))
    [request] = server.requests
    assert str(request.url) == "http://10.0.0.5:8500/v1/health/service/web?passing=1"
    assert "X-Consul-Token" not in request.headers


def test_a_held_query_names_index_and_wait() -> None:
    server = Server()
    asked(server, index=5, wait=300)
    params = server.requests[0].url.params
    assert (params["index"], params["wait"], params["passing"]) == ("5", "300s", "1")


def test_a_consistent_query_says_so() -> None:
    server = Server()
    asked(server, consistent=True)
    assert "consistent" in server.requests[0].url.params


def test_odd_names_reach_consul_as_they_are() -> None:
    server = Server()
    asked(server, View(Kind.SERVICE, "a/b c%"))
    assert server.requests[0].url.raw_path.startswith(b"/v1/health/service/a%2Fb%20c%25?")


def test_the_token_goes_into_its_header() -> None:
    server = Server()
    server.token.token = "secret"
    asked(server)
    assert server.requests[0].headers["X-Consul-Token"] == "secret"
    assert "secret" not in str(server.requests[0].url)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (403, Refused),
        (404, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_errors_by_what_trying_again_helps(status: int, error: type[Upstream]) -> None:
    with pytest.raises(error, match=f"/v1/health/service/web: HTTP {status}: .*what went wrong"):
        asked(Server(status, body=b"what went wrong"))


@pytest.mark.parametrize(("status", "forgotten"), [(403, 1), (401, 1), (500, 0), (200, 0)])
def test_a_token_that_was_refused_is_read_again(status: int, forgotten: int) -> None:
    server = Server(status)
    with contextlib.suppress(Upstream):
        asked(server)
    assert server.token.forgotten == forgotten


def test_a_filtered_answer_to_a_named_query_is_no_answer() -> None:
    server = Server(body=[])
    server.headers = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    with pytest.raises(Refused, match="filtered by ACLs"):
        asked(server)


def test_a_filtered_listing_is_believed() -> None:
    server = Server(body={"web": []})
    server.headers = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    answer = asked(server, LISTING)
    assert answer.snapshot.names == ["web"]
    assert answer.filtered


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>welcome</html>", id="no-json"),
        pytest.param([{"Service": {}}], id="other-fields"),
        pytest.param({"a": 1}, id="another-shape"),
        pytest.param(b"[{", id="cut-off"),
    ],
)
def test_what_is_not_consuls_json_is_no_answer(body: Any) -> None:
    with pytest.raises(Unavailable):
        asked(Server(body=body))


def test_an_answer_without_index_is_no_answer() -> None:
    with pytest.raises(Unavailable, match="is it Consul"):
        asked(Server(index=None))


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadError("reset")])
def test_a_lost_connection_is_tried_again_later(error: httpx.TransportError) -> None:
    server = Server()

    def lost(request: httpx.Request) -> httpx.Response:
        raise error

    server.handle = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=str(error)):
        asked(server)


@pytest.mark.parametrize(("wait", "seconds"), [(0, 15), (160, 185)])
def test_a_silent_connection_does_not_blind_a_view(wait: int, seconds: int) -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(10_000)
            raise AssertionError

    loop = VirtualTime(0.0)
    consul = Consul("consul", Token(), transport=Silent)
    with pytest.raises(Unavailable, match=f"no answer within {seconds} s"):
        run(loop, consul.ask(WEB, index=3 if wait else 0, wait=wait))
    assert loop.time() == pytest.approx(seconds)


def test_the_newest_index_is_that_of_services_and_checks() -> None:
    server = Server()
    indices = {"/v1/catalog/services": "40", "/v1/health/state/none": "42"}
    requests: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(str(request.url))
        return httpx.Response(200, headers={"X-Consul-Index": indices[request.url.path]}, json={})

    server.handle = handle  # type: ignore[method-assign]
    assert max(run(VirtualTime(), server.consul().newest_indices())) == 42
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("address", "held"), [("https://consul:8501", STREAMS), ("http://consul:8500", CONNECTIONS)]
)
def test_many_views_are_spread_over_several_clients(address: str, held: int) -> None:
    server = Server()
    consul = server.consul(address)

    async def many() -> None:
        views = [View(Kind.SERVICE, f"s{n}") for n in range(2 * held + 1)]
        await asyncio.gather(*[consul.ask(view) for view in views])
        await asyncio.gather(*[consul.ask(view) for view in views])
        await consul.close()

    run(VirtualTime(), many())
    assert server.transports == 3


@pytest.mark.parametrize(
    ("address", "complete"),
    [
        ("10.0.0.5:8500", "http://10.0.0.5:8500"),
        ("https://consul.example:8501", "https://consul.example:8501"),
    ],
)
def test_an_address_without_scheme_is_plain_http(address: str, complete: str) -> None:
    assert with_scheme(address) == complete
