"""A poller's process: `workflow/live.py` on an event loop that goes on only when it is told to.

What it would do in a thread waits in a queue and is run from outside, so that whole steps of others
may happen at each of its calls. Time is the history's.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Killed(BaseException):
    """The process is gone."""


class _Selector:
    def select(self, _timeout: float | None) -> list[Any]:
        return []


class Loop(asyncio.BaseEventLoop):
    """Waits for no one: `turn` runs what is ready by now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._selector = _Selector()

    def time(self) -> float:
        return self._clock()

    def turn(self) -> bool:
        """Whether anything was ready."""
        timers = self._scheduled  # type: ignore[attr-defined]
        due = any(not each.cancelled() and each.when() <= self.time() for each in timers)
        if not due and not self._ready:  # type: ignore[attr-defined]
            return False
        self.call_soon(self.stop)
        self.run_forever()
        return True

    def _process_events(self, _events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...


class Thread(Executor):
    """Calls one after the other, each when it is told to."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._busy = False

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                found = work(*args, **kwargs)
            except Exception as error:  # noqa: BLE001
                future.set_exception(error)
            else:
                future.set_result(found)

        self._calls.append(call)
        return future

    def turn(self) -> bool:
        """Whether there was a call to make. Raises Killed."""
        if self._busy or not self._calls:
            return False
        self._busy = True
        try:
            self._calls.popleft()()
        finally:
            self._busy = False
        return True


class Process:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.loop = Loop(clock)
        self.threads: list[Thread] = []
        self.dead = False
        self._task: asyncio.Task[Any] | None = None

    def thread(self) -> Thread:
        self.threads.append(Thread())
        return self.threads[-1]

    def begin(self, main: Coroutine[Any, Any, Any]) -> None:
        self._task = self.loop.create_task(main)

    @property
    def ended(self) -> bool:
        return self.dead or (self._task is not None and self._task.done())

    def result(self) -> Any:
        """How it left. Raises what it died of."""
        assert self._task is not None
        return self._task.result()

    def kill(self) -> None:
        """It does nothing any more that anybody sees."""
        self.dead = True
        if self._task is not None:
            self._task.cancel()
        while self.loop.turn():
            for thread in self.threads:
                thread.turn()
        self.loop.close()
