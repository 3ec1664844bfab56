"""Unpacks Lambda layers once for all stacks of a build (`stack.py`). The emulator would do that for
each sandbox."""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
import zipfile
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

__all__ = ["BadZipFile", "ZipFile"]  # replaces the module `zipfile`


def ZipFile(file: str) -> zipfile.ZipFile | Layer:  # noqa: N802
    """A file named `layer_...` is unpacked once; after that, a link points to its files."""
    return Layer(Path(file)) if Path(file).name.startswith("layer_") else zipfile.ZipFile(file)


class Layer:
    """A layer's archive, as far as the emulator uses one."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def namelist(self) -> list[str]:
        """Empty: the emulator would check every path each time."""
        return []

    def extractall(self, path: str) -> None:
        digest = hashlib.sha256(self._file.read_bytes()).hexdigest()[:16]
        layers = (Path(tempfile.gettempdir()) / "layers").resolve()
        layers.mkdir(parents=True, exist_ok=True)
        shared = layers / digest
        with (layers / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not shared.exists():
                unfinished = shared.with_suffix(".part")
                with zipfile.ZipFile(self._file) as archive:
                    archive.extractall(unfinished)
                unfinished.rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)
