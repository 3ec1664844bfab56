"""Requests that are made side by side."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Begun(threading.Thread, Generic[T]):
    """A request that is under way."""

    def __init__(self, request: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._request = request
        self._failed: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._answer = self._request()
        except Exception as failed:  # noqa: BLE001  raised by whoever waits for the answer
            self._failed = failed

    def answer(self) -> T:
        """Once it is there. Raises what the request has raised."""
        self.join()
        if self._failed:
            raise self._failed
        return self._answer
