"""Consul over HTTP: what is sent, and what each kind of answer means."""

import asyncio
import contextlib
import importlib.util
import inspect
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpcore
import httpx
import pytest

from cts.adapters.consul import MOST_BYTES, TURN_WITHIN, Consul, with_scheme
from cts.conditions import consul_kv, services
from cts.errors import Refused, Unavailable, Upstream
from cts.watch.query import Kind, View
from cts.watch.snapshot import EMPTY, snapshot
from cts.watch.view import Answer
from tests.fake_consul import Token, instance, system
from tests.unit.virtual_time import VirtualTime, run

WEB, LISTING = View(services.SERVICE, "web"), View(services.LISTING)
Handler = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self, status: int = 200, *, index: Any = "7", body: Any = None) -> None:
        self.status, self.index = status, index
        self.body = [] if body is None else body
        self.headers: dict[str, str] = {}
        self.requests: list[httpx.Request] = []
        self.token = Token()
        self.consistency = "default"

    def consul(self, address: str = "10.0.0.5:8500") -> Consul:
        def transport(*_: object) -> httpx.MockTransport:
            return httpx.MockTransport(self.handle)

        return Consul(address, self.token, system, transport, self.consistency)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        index = {} if self.index is None else {"X-Consul-Index": self.index}
        headers = {**index, **self.headers}
        if isinstance(self.body, httpx.AsyncByteStream):
            return httpx.Response(self.status, headers=headers, stream=self.body)
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
    assert params["near"] == "_agent", "or newer servers don't say what ACLs have hidden"


def test_a_consistent_query_says_so() -> None:
    server = Server()
    asked(server, consistent=True)
    assert "consistent" in server.requests[0].url.params


@pytest.mark.parametrize("mode", ["default", "stale", "consistent"])
def test_queries_are_asked_for_in_the_chosen_mode_but_those_that_confirm(mode: str) -> None:
    server = Server()
    server.consistency = mode
    for how, expected in (
        ({}, mode),
        ({"index": 5, "wait": 300}, mode),
        ({"consistent": True}, "consistent"),
        ({"from_leader": True}, "default" if mode == "stale" else mode),
    ):
        asked(server, **how)
        params = server.requests[-1].url.params
        assert [each for each in ("stale", "consistent") if each in params] == (
            [] if expected == "default" else [expected]
        )


def test_the_newest_index_is_the_leaders() -> None:
    """That of a server which is behind would look like a restore."""
    server = Server()
    server.consistency = "stale"
    consul = server.consul()

    async def newest() -> int:
        try:
            return await consul.newest(View(services.CATALOG_INDEX))
        finally:
            await consul.close()

    assert run(VirtualTime(), newest()) == 7
    assert "stale" not in server.requests[0].url.params


def test_odd_names_reach_consul_as_they_are() -> None:
    server = Server()
    asked(server, View(services.SERVICE, "a/b c%"))
    assert server.requests[0].url.raw_path.startswith(b"/v1/health/service/a%2Fb%20c%25?")


def test_the_token_goes_into_its_header() -> None:
    server = Server()
    server.token.token = "secret"
    assert asked(server).token
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


@pytest.mark.parametrize(
    ("status", "forgotten"), [(403, ["t"]), (401, ["t"]), (500, []), (200, [])]
)
def test_a_token_that_was_refused_is_read_again(status: int, forgotten: list[str]) -> None:
    server = Server(status)
    server.token.token = "t"
    with contextlib.suppress(Upstream):
        asked(server)
    assert server.token.forgotten == forgotten


def test_a_filter_that_consul_cannot_read_is_refused_at_once() -> None:
    server = Server(500, body=b'Failed to create boolean expression evaluator: Selector "X"')
    with pytest.raises(Refused, match=r"filter X == 1: HTTP 500: Failed to create .* evaluator"):
        asked(server, View(services.SERVICE, "web", filter="X == 1"))


@pytest.mark.parametrize(("policy", "denies"), [("deny", True), ("allow", False), ("", False)])
def test_an_answer_tells_of_the_default_policy(*, policy: str, denies: bool) -> None:
    server = Server()
    server.headers = {"X-Consul-Default-ACL-Policy": policy} if policy else {}
    answer = asked(server)
    assert answer.default_deny is denies
    assert not answer.token


@pytest.mark.parametrize(("index", "error"), [("9", None), (None, Refused)])
def test_a_key_that_is_not_there_is_read_and_a_path_that_is_not_there_is_an_error(
    index: str | None, error: type[Upstream] | None
) -> None:
    server = Server(404, index=index, body=b"")
    with pytest.raises(error) if error else contextlib.nullcontext():
        assert asked(server, View(consul_kv.KEY, "a/b")) == Answer(9, EMPTY)


def test_a_filtered_answer_to_a_named_query_is_no_answer() -> None:
    server = Server(body=[])
    server.headers = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    with pytest.raises(Refused, match="filtered by ACLs"):
        asked(server)


def test_a_filtered_listing_is_believed() -> None:
    server = Server(body={"web": []})
    server.headers = {"X-Consul-Results-Filtered-By-ACLs": "true"}
    answer = asked(server, LISTING)
    assert answer.snapshot.value == ["web"]
    assert answer.filtered


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>welcome</html>", id="no-json"),
        pytest.param([{"Service": {}}], id="other-fields"),
        pytest.param({"a": 1}, id="another-shape"),
        pytest.param(b"[{", id="cut-off"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[" * 100_000, id="nested-too-deep"),
        pytest.param([{**instance("web"), "Checks": [None, {"CheckID": 5}]}], id="odd-checks"),
        pytest.param(b'[{"Service": "\\ud800"}]', id="half-a-character"),
    ],
)
def test_what_is_not_consuls_json_is_no_answer(body: Any) -> None:
    with pytest.raises(Unavailable, match=r"asking Consul for service web: not Consul's JSON: ."):
        asked(Server(body=body))


@pytest.mark.parametrize("index", [None, "", "seven", "-1", "7.5", b"\xd9\xa7", "9" * 5000])
def test_an_answer_without_index_is_no_answer(index: Any) -> None:
    with pytest.raises(Unavailable, match="service web: the answer has no X-Consul-Index"):
        asked(Server(index=index))


class Packed(httpx.AsyncByteStream):
    """Packed zeros without end, and how many bytes of them were asked for, unpacked."""

    def __init__(self) -> None:
        self.unpacked = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        packer, piece = zlib.compressobj(wbits=31), bytes(1024 * 1024)
        while self.unpacked < 100 * MOST_BYTES:
            yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
            self.unpacked += len(piece)


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_end_is_not_read_to_its_end(status: int) -> None:
    body = Packed()
    server = Server(status, body=body)
    server.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(
        Refused, match=f"service/web: the answer is larger than {MOST_BYTES // 2**20} MB"
    ):
        asked(server)
    assert body.unpacked < 2 * MOST_BYTES


def test_an_answer_that_cannot_be_unpacked_is_no_answer() -> None:
    class Unpacked(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"[]"

    server = Server(body=Unpacked())
    server.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(Unavailable, match=r"service/web: .*decompressing"):
        asked(server)


@pytest.mark.parametrize(
    "error",
    [
        httpx.LocalProtocolError("Illegal header value b'0b1c'"),
        httpx.RemoteProtocolError("illegal header line: X-Consul-Token: 0b1c"),
    ],
)
def test_no_text_that_may_hold_a_header_is_told(error: httpx.ProtocolError) -> None:
    server = Server()

    def broken(request: httpx.Request) -> httpx.Response:
        raise error

    server.handle = broken  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=f"service/web: {type(error).__name__}$") as told:
        asked(server)
    assert told.value.__suppress_context__
    assert told.value.__cause__ is None


def test_a_page_that_repeats_the_token_does_not_tell_it() -> None:
    server = Server(403, body=b"no right for X-Consul-Token: 0b1c")
    server.token.token = "0b1c"
    with pytest.raises(Refused, match=r"no right for X-Consul-Token: \*\*\*"):
        asked(server)


@pytest.mark.parametrize(
    "address",
    ["http://consul:99999", "http://[::1", "http://u:0b1c@a:b", "http://xn--", "http://:80"],
)
def test_an_address_that_is_none_is_named_and_not_shown(address: str) -> None:
    with pytest.raises(Refused, match="ConsulAddress is not a valid address") as told:
        run(VirtualTime(), Server().consul(address).ask(WEB))
    assert "0b1c" not in str(told.value)


def test_who_may_sign_is_asked_over_https_only_and_makes_no_more_than_the_view_stale() -> None:
    async def no_pem() -> ssl.SSLContext:
        raise Refused("reading the authorities: no PEM")

    def consul(address: str) -> Consul:
        server = Server()
        return Consul(address, Token(), no_pem, lambda *_: httpx.MockTransport(server.handle))

    with pytest.raises(Refused, match="no PEM"):
        run(VirtualTime(), consul("https://consul:8501").ask(WEB, index=1, wait=1))
    with pytest.raises(Refused, match="no PEM"):
        run(VirtualTime(), consul("https://consul:8501").newest(View(services.CATALOG_INDEX)))
    assert run(VirtualTime(), consul("http://consul:8500").ask(WEB)).index == 7


def test_a_password_in_the_address_is_not_told() -> None:
    server = Server(403)
    with pytest.raises(Refused, match="at http://consul:8500 for") as told:
        run(VirtualTime(), server.consul("http://me:p@ss@consul:8500").ask(WEB))
    assert "ss@" not in str(told.value)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        ssl.SSLError(1, "tlsv13 alert certificate required"),
    ],
)
def test_a_lost_connection_is_tried_again_later(error: Exception) -> None:
    server = Server()

    def lost(request: httpx.Request) -> httpx.Response:
        raise error

    server.handle = lost  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=re.escape(str(error))):
        asked(server)


class Silent(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(10_000)
        raise AssertionError


@pytest.mark.parametrize(("wait", "seconds"), [(0, 15), (160, 185)])
def test_a_silent_connection_does_not_blind_a_view(wait: int, seconds: int) -> None:
    loop = VirtualTime(0.0)
    consul = Consul("consul", Token(), system, lambda *_: Silent())
    with pytest.raises(Unavailable, match=f"no answer within {seconds} s"):
        run(loop, consul.ask(WEB, index=3 if wait else 0, wait=wait))
    assert loop.time() == pytest.approx(seconds)


def test_what_the_client_imports_at_every_request_is_there() -> None:
    """A missing module is searched for each time, which takes as long as the request itself."""
    assert "import sniffio" in inspect.getsource(httpcore._synchronization.current_async_library)
    assert importlib.util.find_spec("sniffio")


def test_a_silent_consul_does_not_outlast_a_poller() -> None:
    loop = VirtualTime(0.0)
    consul = Consul("consul", Token(), system, lambda *_: Silent())

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*[consul.ask(WEB) for _ in range(1000)], return_exceptions=True)

    assert {type(error) for error in run(loop, all_at_once())} == {Unavailable}
    assert loop.time() <= TURN_WITHIN + 15


@pytest.mark.parametrize(
    ("kind", "status", "body", "url"),
    [
        (services.CATALOG_INDEX, 200, {}, "/v1/catalog/services?dc=dc2&node-meta=cts%3Anone"),
        (services.CHECKS_INDEX, 200, [], "/v1/health/state/none?dc=dc2"),
        (consul_kv.KV_INDEX, 404, b"", "/v1/kv/cts-none/?dc=dc2&recurse="),
    ],
    ids=lambda value: value.name if isinstance(value, Kind) else "",
)
def test_a_newest_index_is_that_of_an_answer_that_finds_nothing(
    kind: Kind, status: int, body: Any, url: str
) -> None:
    server = Server(status, index="40", body=body)
    assert run(VirtualTime(), server.consul().newest(View(kind, datacenter="dc2"))) == 40
    [request] = server.requests
    path, _, query = str(request.url).removeprefix("http://10.0.0.5:8500").partition("?")
    assert f"{path}?{'&'.join(sorted(query.split('&')))}" == url


@pytest.mark.parametrize(
    ("address", "complete"),
    [
        ("10.0.0.5:8500", "http://10.0.0.5:8500"),
        ("https://consul.example:8501", "https://consul.example:8501"),
    ],
)
def test_an_address_without_scheme_is_plain_http(address: str, complete: str) -> None:
    assert with_scheme(address) == complete
