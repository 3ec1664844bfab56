"""The adapter's connections, as a server on this machine sees them."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cts.adapters.consul import SHORT, Consul
from cts.conditions import services
from cts.errors import Unavailable
from cts.watch.query import View
from tests.fake_consul import Token, system

BUDGET = 64
"""Queries that a poller holds at once."""


class Server:
    """Consul's HTTP API. A query with an index is held until its service is moved."""

    def __init__(self) -> None:
        self.address = ""
        self.open = 0
        """Connections, now and at most."""
        self.most = 0
        self.waiting: dict[str, asyncio.Event] = {}
        self.short_ones = asyncio.Event()
        """Clear: whatever has no index waits, too."""
        self.short_ones.set()

    async def serve(self, scenario: Callable[[Consul], Awaitable[None]]) -> None:
        listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        consul = Consul(f"http://127.0.0.1:{port}", Token(), system)
        async with listening, asyncio.timeout(60):
            await scenario(consul)
            await consul.close()
            await self.until(lambda: not self.open)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.001)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self._answer_all(reader, writer)
        finally:
            self.open -= 1
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while lines := await _head(reader):
            url = urlsplit(lines.split()[1])
            held = "index" in parse_qs(url.query)
            moved = self.waiting.setdefault(_name(url.path), asyncio.Event())
            moves = moved.wait() if held else self.short_ones.wait()
            ended = asyncio.create_task(reader.read(1))  # the client sends nothing while it waits
            waits = asyncio.create_task(moves)
            await asyncio.wait({ended, waits}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                waits.cancel()
                return
            ended.cancel()
            await asyncio.wait({ended})
            if held:
                del self.waiting[_name(url.path)]
            writer.write(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]")
            await writer.drain()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


def _name(path: str) -> str:
    return unquote(path.rpartition("/")[2])


def view(number: int) -> View:
    return View(services.SERVICE, f"s{number}")


def held(consul: Consul, numbers: Iterable[int]) -> list["asyncio.Task[object]"]:
    return [asyncio.create_task(consul.ask(view(n), index=5, wait=300)) for n in numbers]


def test_a_held_query_waits_for_no_other_and_no_other_for_it() -> None:
    server = Server()

    async def scenario(consul: Consul) -> None:
        holding = held(consul, range(BUDGET))
        await server.until(lambda: len(server.waiting) == BUDGET)
        await asyncio.gather(*[consul.ask(view(1000 + n)) for n in range(100)])
        assert server.most <= BUDGET + SHORT

        server.short_ones.clear()
        stuck = [asyncio.create_task(consul.ask(view(1000 + n))) for n in range(100)]
        await server.until(lambda: server.open == BUDGET + SHORT)
        for number in (BUDGET - 1, 0, BUDGET // 2):
            server.waiting[f"s{number}"].set()
            await holding[number]
        newest = asyncio.create_task(consul.newest(View(services.CATALOG_INDEX)))
        await server.until(lambda: "services" in server.waiting)
        server.short_ones.set()
        assert await newest == 7
        await asyncio.gather(*stuck)
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)

    asyncio.run(server.serve(scenario))


@pytest.mark.slow
def test_views_that_come_and_go_leave_no_connection_behind() -> None:
    server = Server()

    async def scenario(consul: Consul) -> None:
        for turn in range(12):
            holding = held(consul, range(turn * 30, turn * 30 + 30))
            await server.until(lambda: len(server.waiting) >= 30)
            for task in holding:
                task.cancel()
            await asyncio.gather(*holding, return_exceptions=True)
            await server.until(lambda: not server.open)
            server.waiting.clear()
        assert server.most == 30

    asyncio.run(server.serve(scenario))


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 5])
def test_a_query_may_be_cancelled_at_any_moment(index: int) -> None:
    """Also while its answer is read or its connection is given back."""
    server = Server()

    async def scenario(consul: Consul) -> None:
        for turns in range(1, 20):
            for number in range(SHORT + 2):
                name = f"s{number}"
                asked = asyncio.create_task(consul.ask(view(number), index=index, wait=5))
                if index:
                    await server.until(partial(server.waiting.__contains__, name))
                    server.waiting[name].set()
                for _ in range(turns):
                    await asyncio.sleep(0)
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
                server.waiting.pop(name, None)
            async with asyncio.timeout(5):
                await asyncio.gather(*[consul.ask(view(n)) for n in range(SHORT)])

    asyncio.run(server.serve(scenario))


@pytest.mark.parametrize("head", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
def test_a_body_that_is_cut_off_is_no_answer(head: bytes) -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n" + head + b"\r\n\r\n")
        writer.write(b"[]" if b"Length" in head else b"2\r\n[]\r\n")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        listening = await asyncio.start_server(cut_off, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        consul = Consul(f"http://127.0.0.1:{port}", Token(), system)
        async with listening, asyncio.timeout(60):
            with pytest.raises(Unavailable, match="RemoteProtocolError"):
                await consul.ask(view(1))
            await consul.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_connection_is_used_again() -> None:
    server = Server()

    async def scenario(consul: Consul) -> None:
        for _ in range(5):
            holding = held(consul, range(BUDGET))
            await server.until(lambda: len(server.waiting) == BUDGET)
            for event in list(server.waiting.values()):
                event.set()
            await asyncio.gather(*holding)
        assert server.most == BUDGET

    asyncio.run(server.serve(scenario))


def test_a_query_that_is_cancelled_while_it_connects_closes_its_socket() -> None:
    """Left to the garbage collector, an open socket is an error of the test."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def never_shakes_hands(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read(1)
        began.set()
        with suppress(ConnectionError):
            await reader.read()
        ended.set()
        writer.close()

    async def scenario() -> None:
        listening = await asyncio.start_server(never_shakes_hands, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        consul = Consul(f"https://127.0.0.1:{port}", Token(), system)
        async with listening, asyncio.timeout(10):
            asked = asyncio.create_task(consul.ask(view(1)))
            await began.wait()
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await consul.close()
            await ended.wait()

    asyncio.run(scenario())
    gc.collect()
