"""A value that is read beside all else: by one read that all share, and the former one serves."""

import asyncio
import threading

import pytest

from cts.adapters.latest import RETRY, Latest
from cts.errors import Unavailable

KEPT = 300.0


class Source:
    """What is read, by whom, and when an answer comes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.values: list[str | Exception] = ["one"]
        """The answers to come; the last one stays."""
        self.reads = 0
        self.threads: set[int] = set()
        self.answers = threading.Event()
        self.answers.set()
        self.latest = Latest(self._read, kept=KEPT, now=lambda: self.now)

    def _read(self) -> str:
        self.reads += 1
        self.threads.add(threading.get_ident())
        assert self.answers.wait(30)
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, Exception):
            raise value
        return value

    async def settled(self) -> None:
        """Wait for the read that goes on."""
        if self.latest._reading is not None:
            await asyncio.wait([self.latest._reading])


def test_all_who_ask_at_once_share_one_read_that_blocks_nobody() -> None:
    source = Source()
    source.answers.clear()

    async def main() -> list[str]:
        asking = [asyncio.create_task(source.latest.get()) for _ in range(100)]
        while not source.reads:
            await asyncio.sleep(0)
        asking[0].cancel()  # who leaves takes nothing from the others
        source.answers.set()
        return await asyncio.gather(*asking[1:])

    assert set(asyncio.run(main())) == {"one"}
    assert source.reads == 1
    assert threading.get_ident() not in source.threads


def test_the_former_value_serves_until_the_next_one_is_there() -> None:
    source = Source()
    source.values = ["one", "two"]

    async def main() -> None:
        assert await source.latest.get() == "one"
        source.now += KEPT - 1
        assert await source.latest.get() == "one"
        assert source.reads == 1
        source.now += 2
        source.answers.clear()
        assert [await source.latest.get() for _ in range(50)] == ["one"] * 50
        source.answers.set()
        await source.settled()
        assert await source.latest.get() == "two"
        assert source.reads == 2

    asyncio.run(main())


def test_a_read_that_fails_takes_nothing_away_and_is_tried_again_in_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = Source()
    source.values = ["one", Unavailable("away"), Unavailable("away"), "two"]

    async def main() -> list[str]:
        found = [await source.latest.get()]
        source.now += KEPT + 1
        for _ in range(30):
            source.now += 1
            found.append(await source.latest.get())
            await source.settled()
        return [*found, await source.latest.get()]

    found = asyncio.run(main())
    assert [*dict.fromkeys(found)] == ["one", "two"]
    assert source.reads == 4
    assert not capsys.readouterr().err


def test_before_there_is_one_all_who_ask_are_told_why() -> None:
    source = Source()
    source.values = [Unavailable("away"), "one"]

    async def main() -> None:
        for _ in range(100):
            with pytest.raises(Unavailable, match="away"):
                await source.latest.get()
        assert source.reads == 1
        source.now += RETRY
        assert await source.latest.get() == "one"

    asyncio.run(main())


def test_one_that_was_refused_is_read_again_at_once_but_not_at_every_word() -> None:
    source = Source()
    source.values = ["one", "two"]

    async def main() -> None:
        assert await source.latest.get() == "one"
        source.now += RETRY
        for _ in range(100):
            source.latest.renew()
        await source.settled()
        assert await source.latest.get() == "two"
        assert source.reads == 2
        source.latest.renew()
        source.now += RETRY - 1
        await source.latest.get()
        await source.settled()
        assert source.reads == 2
        source.now += 1
        await source.latest.get()
        await source.settled()
        assert source.reads == 3

    asyncio.run(main())
