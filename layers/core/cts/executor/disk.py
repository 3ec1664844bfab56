"""What a sandbox keeps on its disk between runs: what `init` made for a task, and the engine.

All runs in a sandbox work with one user, so a module could write to what the runs of other tasks
have left, and delete it. So each folder has a seal, which is in memory alone: a folder that
anything has touched since it was closed is deleted, and so is all that no run has closed.
"""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import uuid4


class Disk:
    """`root`: the sandbox's temporary folder. Of what is in it, that which was there when the
    sandbox was made is left alone. `most`: bytes to keep between runs."""

    def __init__(self, root: Path, most: int) -> None:
        self._root, self._place, self._most = root, root / "tasks", most
        # If a process was killed here before, its run may have left anything that is our user's.
        was_used = os.path.lexists(self._place)
        others = (each for each in root.iterdir() if not (was_used and is_own(each)))
        self._others = {each.name for each in others}
        self._seals: dict[str, str] = {}
        """By name, the one that was used last at the end."""
        self._sizes: dict[str, int] = {}
        self.clean()

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
        self._restore()
        if is_folder(folder):
            folder.chmod(0o700)
            for each in folder.iterdir():
                if each.name not in keep:
                    wiped(each)
            if any(folder.iterdir()) and (seal := sealed(folder)):
                self._sizes[name] = sum(each.lstat().st_size for each in walked(folder))
                self._seals[name] = seal
        self.clean()

    def clean(self) -> None:
        """Delete what was not kept, and what was kept longest ago if there is too much."""
        while self._seals and sum(self._sizes[each] for each in self._seals) > self._most:
            del self._seals[next(iter(self._seals))]
        self._restore()
        for each in self._place.iterdir():
            if each.name not in self._seals:
                wiped(each)
        for each in self._root.iterdir():
            if each != self._place and each.name not in self._others:
                wiped(each)

    def _restore(self) -> None:
        """The folder of all folders, which a module may have replaced."""
        if not is_folder(self._place):
            wiped(self._place)
        self._place.mkdir(exist_ok=True)
        self._place.chmod(0o700)


def sealed(folder: Path) -> str | None:
    """Changes when anything in the folder does: only the kernel sets the time of a change. None if
    not all of it can be looked at."""
    digest = hashlib.sha256()
    try:
        for each in walked(folder):
            found = each.lstat()
            facts = (each, found.st_ino, found.st_mode, found.st_size, found.st_ctime_ns)
            digest.update(repr(facts).encode())
    except (OSError, RecursionError):
        return None
    return digest.hexdigest()


def walked(folder: Path) -> Iterator[Path]:
    """The folder and all in it, sorted. Links are not followed. Raises OSError; and RecursionError,
    if a folder is too deep."""
    yield folder
    for at, folders, files in os.walk(folder, onerror=_raised):
        folders.sort()
        for name in sorted([*folders, *files]):
            yield Path(at) / name


def _raised(error: OSError) -> None:
    raise error


def is_own(path: Path) -> bool:
    return path.lstat().st_uid == os.getuid()


def is_folder(path: Path) -> bool:
    """Whether it is one itself, and not a link."""
    return path.is_dir() and not path.is_symlink()


def wiped(path: Path) -> None:
    """Delete a file or a folder, whatever a module has made of its permissions, and however deep it
    is: a path may have 4,095 bytes, so what is below is moved up first."""
    if not is_folder(path):
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    folders = [path]
    for folder in folders:
        for each in folder.iterdir():
            if is_folder(each):
                each.chmod(0o700)
                folders.append(each.rename(path / uuid4().hex))
            else:
                each.unlink()
        if folder != path:
            folder.rmdir()
    path.rmdir()
