"""What a sandbox keeps on its disk between runs: what `init` made for a task, and the engine.

All runs in a sandbox work with one user, so a module could write to what the runs of other tasks
have left. So each folder has a seal, which is in memory alone: a folder that anything has touched
since it was closed is deleted, and so is all that no run has closed.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path


class Disk:
    """`root`: the sandbox's temporary folder. Of what is in it, that which was there when the
    sandbox was made is left alone. `most`: bytes to keep between runs."""

    def __init__(self, root: Path, most: int) -> None:
        self._place, self._most = root / "tasks", most
        wiped(self._place)
        self._place.mkdir()
        self._root, self._others = root, {each.name for each in root.iterdir()}
        self._seals: dict[str, str] = {}
        """By name, the one that was used last at the end."""
        self._sizes: dict[str, int] = {}

    def open(self, name: str) -> Path:
        """A folder for a run: with what was kept of the last one of this name, if it is intact,
        else empty."""
        folder = self._place / name
        seal = self._seals.pop(name, None)
        if seal is None or seal != sealed(folder):
            wiped(folder)
        folder.mkdir(exist_ok=True)
        return folder

    def close(self, name: str, keep: Collection[str]) -> None:
        """Keep these files and folders of a folder, if there are any; delete everything else that
        a run has left anywhere."""
        folder = self._place / name
        for each in folder.iterdir():
            if each.name not in keep:
                wiped(each)
        if any(folder.iterdir()):
            self._sizes[name] = sum(each.lstat().st_size for each in walked(folder))
            self._seals[name] = sealed(folder)
        self.clean()

    def clean(self) -> None:
        """Delete what was not kept, and what was kept longest ago if there is too much."""
        while self._seals and sum(self._sizes[each] for each in self._seals) > self._most:
            del self._seals[next(iter(self._seals))]
        for each in self._place.iterdir():
            if each.name not in self._seals:
                wiped(each)
        for each in self._root.iterdir():
            if each.name not in self._others:
                wiped(each)


def sealed(folder: Path) -> str:
    """Changes when anything in the folder does: only the kernel sets the time of a change."""
    digest = hashlib.sha256()
    for each in walked(folder):
        found = each.lstat()
        facts = (each, found.st_ino, found.st_mode, found.st_size, found.st_ctime_ns)
        digest.update(repr(facts).encode())
    return digest.hexdigest()


def walked(folder: Path) -> Iterator[Path]:
    """The folder and all in it, sorted. Links are not followed."""
    yield folder
    for at, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *files]):
            yield Path(at) / name


def wiped(path: Path) -> None:
    """Delete a file or a folder, whatever a module has made of its permissions."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for at, _, _ in os.walk(path):
        Path(at).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
