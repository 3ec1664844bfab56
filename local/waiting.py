"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")


def wait_until(
    condition: Callable[[], Found | None], seconds: float, what: str, *, every: float = 0.05
) -> Found:
    """Returns the condition's first true value. Raises TimeoutError, which names `what`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Timed out after {seconds:g} s waiting for {what}.")
        time.sleep(every)
    return found
