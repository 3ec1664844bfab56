"""An event loop on which waiting takes no time: when nothing is ready, its clock jumps to the next
timer. What would run in a thread runs on the loop."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


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


class Thread(Executor):
    """What is submitted runs after some seconds."""

    def __init__(self, loop: VirtualTime, takes: Callable[[], float]) -> None:
        self._loop, self._takes = loop, takes

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def runs() -> None:
            try:
                future.set_result(work(*args, **kwargs))
            except Exception as error:  # noqa: BLE001
                future.set_exception(error)

        self._loop.call_later(self._takes(), runs)
        return future


def run(loop: VirtualTime, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
