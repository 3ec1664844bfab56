"""The log of a run."""

import threading
from collections import deque
from contextlib import suppress

from cts.build.hidden import Hidden
from cts.build.masking import masked
from cts.build.times import now

LOG_CHARACTERS = 16_000_000


class Tail:
    """A text that grows; of a long one only the end is kept."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept = self.left_out = 0
        self._parts: deque[str] = deque()

    def add(self, part: str) -> None:
        self._parts.append(part)
        self.kept += len(part)
        while self.kept > self.most and len(self._parts) > 1:
            gone = len(self._parts.popleft())
            self.kept, self.left_out = self.kept - gone, self.left_out + gone

    def __str__(self) -> str:
        return "".join(self._parts)


class Log:
    """What people read later, without secrets; standard output meanwhile. It lies in memory: a full
    disk must not end a run without a word."""

    def __init__(self) -> None:
        self.hidden = Hidden()
        self._text = Tail(LOG_CHARACTERS)
        self._lock = threading.Lock()

    def write(self, text: str) -> str:
        """The text as it was written."""
        text = self.shown(text)
        with self._lock:
            self._text.add(text)
            with suppress(OSError, ValueError):
                print(text, end="", flush=True)
        return text

    def shown(self, text: str) -> str:
        """As it may be shown. What is known to be secret goes first: masking by patterns could
        leave a part of it."""
        return masked(self.hidden(text))

    def note(self, text: str) -> None:
        self.write(f"[{now()}] {text}\n")

    @property
    def length(self) -> int:
        """Characters ever written."""
        return self._text.kept + self._text.left_out

    def body(self) -> bytes:
        with self._lock:
            cut, text = self._text.left_out, str(self._text)
        note = f"[the first {cut} characters are left out]\n" if cut else ""
        return (note + text).encode(errors="replace")
