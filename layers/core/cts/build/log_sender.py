"""Puts the log of a run into the work bucket while it grows."""

import threading
import time
from contextlib import suppress

from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.s3 import S3

LOG_SECONDS = 2.0


class LogSender:
    """`s3_once` makes one attempt only: the next put holds what that one could not put."""

    def __init__(self, log: Log, bucket: str, key: str, s3: S3, s3_once: S3) -> None:
        self.log, self.bucket, self.key = log, bucket, key
        self.s3, self.s3_once = s3, s3_once
        self._sent, self._lock, self._over = 0, threading.Lock(), threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._send, daemon=True).start()

    def end(self) -> None:
        """No more puts but the last one."""
        self._over.set()

    def put_last(self) -> None:
        try:
            self._put(self.s3)
        except RunError as failed:
            self.log.note(f"the log was not stored: {failed}")

    def _send(self) -> None:
        """Until the run is over, put the log again and again while it grows: the longer that takes,
        the less often."""
        pause = LOG_SECONDS
        while not self._over.wait(pause):
            began = time.monotonic()
            with suppress(RunError):  # The last put tells.
                self._put(self.s3_once)
            pause = max(LOG_SECONDS, 10 * (time.monotonic() - began))

    def _put(self, s3: S3) -> None:
        # An older log must not arrive after a newer one, and none is worth waiting for ever.
        left = max(0, s3.ends_at - time.monotonic())
        if not self._lock.acquire(timeout=left / 2):
            raise RunError("an earlier put of it has not ended")
        try:
            length = self.log.length
            if length > self._sent:
                s3.put(self.bucket, self.key, self.log.body())
                self._sent = length
        finally:
            self._lock.release()
