"""Terraform's trace log, of a task with `persist_log`."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TRACE_BYTES = 16_000_000


class Trace:
    """`folder`: one that Terraform does not look at; `shown` takes secrets out of a text."""

    def __init__(self, folder: Path, shown: Callable[[str], str]) -> None:
        self.file, self.shown = folder / "terraform.log", shown

    def environment(self) -> dict[str, str]:
        """That makes Terraform write it, and not print it."""
        return {"TF_LOG": "TRACE", "TF_LOG_PATH": str(self.file)}

    def body(self) -> bytes:
        """What was written, without secrets; of much the end. Empty if there is nothing."""
        with suppress(OSError), self.file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            if opened.seek(max(0, size - TRACE_BYTES)):
                opened.readline()  # the rest of a line, which may hold a part of a secret
            cut = opened.tell()
            note = f"[the first {cut} bytes are left out]\n" if cut else ""
            return (note + self.shown(opened.read().decode(errors="replace"))).encode()
        return b""
