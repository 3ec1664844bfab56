"""Unpacks Lambda layers once for all stacks of a build (`stack.py`). The emulator would do that for
each sandbox."""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

if TYPE_CHECKING:
    import os

__all__ = ["BadZipFile", "ZipFile"]  # replaces the module `zipfile`


class ZipFile(zipfile.ZipFile):
    """A file named `layer_...` is unpacked once; after that, a link points to its files."""

    @property
    def _is_layer(self) -> bool:
        return Path(self.filename or "").name.startswith("layer_")

    def namelist(self) -> list[str]:
        """Empty for a layer: the emulator would check every path each time."""
        return [] if self._is_layer else super().namelist()

    def extractall(self, path: str | os.PathLike[str] | None = None, *rest: Any) -> None:
        if not self._is_layer or path is None:
            super().extractall(path, *rest)
            return
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()[:16]
        layers = (Path(tempfile.gettempdir()) / "layers").resolve()
        layers.mkdir(parents=True, exist_ok=True)
        shared = layers / digest
        with (layers / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not shared.exists():
                unfinished = shared.with_suffix(".part")
                for name in super().namelist():
                    self.extract(name, unfinished)
                unfinished.rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)
