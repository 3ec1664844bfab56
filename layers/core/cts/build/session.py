"""The credentials of a run. Each build starts with some in its archive. They are valid for an hour,
and the tracker puts new ones into the work bucket in good time."""

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cts.build.credentials import Credentials, read_credentials
from cts.build.errors import RunError
from cts.build.s3 import S3
from cts.build.stop import Stop

FILE = "session.json"
"""In the archive, and in the run's folder of the work bucket."""
LOOK = timedelta(minutes=35)
"""How long credentials are still valid when newer ones are looked for."""
STOP = timedelta(minutes=10)
"""How long, when the build stops: Terraform has to end what it has begun, and store its state."""
LOOK_SECONDS = 30.0


class Session:
    """`container`: S3 with the container's own credentials, which can read the run's folder."""

    def __init__(self, found: dict[str, Any], bucket: str, container: S3) -> None:
        self.known, self.container, self.bucket = read_credentials(found), container, bucket
        self._key = f"builds/{found['folder']}/{FILE}"
        self._lock, self._over, self._look_at = threading.Lock(), threading.Event(), 0.0

    def credentials(self) -> Credentials:
        """The newest. Raises ConnectionError once they have expired: newer ones may still come."""
        self._look()
        if self._left() <= timedelta():
            raise ConnectionError(f"{self._end()} and were not renewed")
        return self.known

    def watch(self, stop: Stop) -> None:
        """Until `end`, look for newer ones; stop the build while it can still store its state."""
        threading.Thread(target=self._watch, args=(stop,), daemon=True).start()

    def end(self) -> None:
        self._over.set()

    def _watch(self, stop: Stop) -> None:
        while True:
            self._look()
            if self._left() < STOP:
                stop.ask(f"{self._end()} and were not renewed")
                return
            if self._over.wait(LOOK_SECONDS):
                return

    def _look(self) -> None:
        with self._lock:
            if self._left() > LOOK or time.monotonic() < self._look_at:
                return
            self._look_at = time.monotonic() + LOOK_SECONDS
            # Until they are there, S3 refuses: the container may not know what is missing.
            with suppress(RunError, ValueError, TypeError, KeyError, ConnectionError):
                stored = self.container.get(self.bucket, self._key)
                newer = read_credentials(json.loads(stored.body)) if stored else self.known
                self.known = max(self.known, newer, key=lambda each: each.expires)

    def _left(self) -> timedelta:
        return self.known.expires - datetime.now(UTC)

    def _end(self) -> str:
        return f"the run's credentials are valid until {self.known.expires:%Y-%m-%dT%H:%M:%SZ}"


def opened(folder: Path, bucket: str, container: S3) -> Session:
    """The session in an archive. Its file goes: Terraform runs in this folder. Raises RunError if
    there is none."""
    file = folder / FILE
    try:
        session = Session(json.loads(file.read_text()), bucket, container)
        file.unlink()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"reading the run's credentials, {file}: {error!r}") from error
    return session
