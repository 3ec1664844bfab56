"""An event loop on which waiting takes no time: when nothing is ready, its clock jumps to the next
timer. Threads are not waited for: what would run in one runs inline."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    def __init__(self, now: float) -> None:
        super().__init__()
        self.now = now

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("all wait for something that never happens")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualTime(asyncio.SelectorEventLoop):
    def __init__(self, now: float = 1_000.0) -> None:
        self._jumping = _Jumping(now)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(loop: VirtualTime, main: Coroutine[Any, Any, T], *, thread_takes: float = 0.0) -> T:
    async def inline(work: Callable[..., Any], *args: Any) -> Any:
        if thread_takes:
            await asyncio.sleep(thread_takes)
        return work(*args)

    with patch("asyncio.to_thread", inline), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
