"""When and why a build stops: its time limit is near, or it is told to."""

import signal
import subprocess
import threading
import time
from contextlib import suppress
from typing import Any

from cts.build.errors import RunError


class Stop:
    """Why to stop, once there is a reason, and the Terraform process to tell."""

    def __init__(self, minutes: float) -> None:
        began, limit = time.monotonic(), minutes * 60
        reserve = min(limit / 4, 300)
        self.interrupt_at = began + limit - reserve
        self.kill_at = began + limit - reserve / 3
        self.ends_at = began + limit
        self.reason = ""
        self._time_is_up = f"its time limit of {minutes:g} minutes is near"
        self._to_tell: list[subprocess.Popen[Any]] = []

    def check(self) -> None:
        """Between two steps."""
        if time.monotonic() >= self.interrupt_at:
            self.ask(self._time_is_up)
        if self.reason:
            raise RunError(f"stopped before the next step, because {self.reason}")

    def pause(self, seconds: float) -> None:
        """Not longer than until the build stops."""
        until = min(time.monotonic() + seconds, self.interrupt_at)
        while not self.reason and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._tell()

    def wait(self, process: subprocess.Popen[Any]) -> int:
        """Wait for Terraform; interrupt it when it is time, and let it store its state."""
        self._to_tell = [process]
        if self.reason:
            self._tell()
        # Not wait(timeout), which looks only every 50 ms.
        waiter = threading.Thread(target=process.wait, daemon=True)
        waiter.start()
        waiter.join(max(0, self.interrupt_at - time.monotonic()))
        if waiter.is_alive():
            self.ask(self._time_is_up)
            waiter.join(max(0, self.kill_at - time.monotonic()))
        if waiter.is_alive():
            process.kill()
        return process.wait()

    def _tell(self) -> None:
        # Once only: a second interrupt makes Terraform exit without storing its state.
        with suppress(IndexError):
            self._to_tell.pop().send_signal(signal.SIGINT)
