"""The files a command is about: those with configuration, in order, and all that they may name."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from cts.config import bundle
from cts.config.bundle import CONFIGURATION, LARGEST_BUNDLE, SOURCES
from cts.config.compile import configuration
from cts_cli.errors import CommandError

LEFT_OUT = {"__pycache__"}
MOST_FILES = 100_000
MOST_NEAR = 5_000
"""Looked at for advice."""
DEEPEST_NEAR = 2


class Sources(Mapping[str, bytes]):
    """The configuration files by their names below a folder, all that they name there, and for
    advice some of what stands where they name what is missing.

    Nothing is looked for or read before it is asked for; what was read stays the same.
    """

    def __init__(self, base: Path, listed: Sequence[str] | None = None) -> None:
        self.base = base
        self._listed = listed
        self._paths: dict[str, Path] | None = None
        self._contents: dict[str, bytes] = {}
        if listed is not None:
            self._contents[SOURCES] = "".join(f"{name}\n" for name in listed).encode()
        self._size = 0

    def __getitem__(self, name: str) -> bytes:
        path = self._found[name]
        if name not in self._contents:
            self._contents[name] = self._read(path)
        return self._contents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found

    @property
    def is_folder(self) -> bool:
        """Whether a folder was named, and not its files one by one."""
        return self._listed is None

    @property
    def _found(self) -> dict[str, Path]:
        if self._paths is None:
            with explaining_errors():
                self._paths = self._find()
        return self._paths

    def _find(self) -> dict[str, Path]:
        listed = self._listed
        names = [each.name for each in _in_folder(self.base)] if listed is None else listed
        for name in names:
            self._contents[name] = self._read(self.base / name)
        found = {name: self.base / name for name in self._contents}
        named = bundle.named(configuration(self._contents))
        for name, path in self._named(named):
            found[name] = path
            if len(found) > MOST_FILES:
                raise CommandError(
                    f"the configuration names folders with more than {MOST_FILES:,} files, the "
                    f"last of them '{path}'"
                )
        return found

    def _named(self, named: bundle.Named) -> Iterator[tuple[str, Path]]:
        for name in sorted(named.modules):
            if _is_folder(self.base / name):
                yield from _module(self.base, name)
            else:
                yield from _near(self.base, name)
        for name in sorted(named.files | named.certificates):
            path = self.base / name
            if _is_file(path):
                yield name, path
            elif name not in named.certificates:
                yield from _near(self.base, name)
            elif _is_folder(path):
                yield from _below(path, f"{name}/", _above(path), is_module=False)
        for name in sorted(named.not_modules):
            if _is_folder(self.base / name):
                yield from _near(self.base, name)

    def _read(self, path: Path) -> bytes:
        with explaining_errors():
            self._size += path.stat().st_size
            if self._size > LARGEST_BUNDLE:
                raise CommandError(
                    f"the configuration and what it names have more than "
                    f"{LARGEST_BUNDLE // 1024**2} MiB, the last of it '{path}'"
                )
            return path.read_bytes()


def find(paths: Sequence[Path]) -> Sources:
    """One folder is a bundle. Several paths, or a file, are read in their order, as CTS reads
    those it is given; their names, and those they name, then begin at the working directory.

    Raises CommandError if there is no configuration.
    """
    for path in paths:
        _must_exist(path)
    if len(paths) == 1 and paths[0].is_dir():
        with explaining_errors():
            if not any(_in_folder(paths[0])):
                raise CommandError(
                    f"no configuration files found: no .hcl or .json file is at the top of "
                    f"'{paths[0]}'"
                )
        return Sources(paths[0])
    with explaining_errors():
        chosen = [each for path in paths for each in _chosen(path)]
    if not chosen:
        given = ", ".join(f"'{path}'" for path in paths)
        raise CommandError(
            f"no configuration files found in {given}: a file without content, or not called "
            "*.hcl or *.json, does not count"
        )
    base = Path.cwd()
    return Sources(base, [_name(path, base) for path in chosen])


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise CommandError(f"'{path}': no such file or directory")
    if not path.is_dir() and not path.is_file():
        raise CommandError(f"'{path}' is neither a file nor a folder")


def _chosen(path: Path) -> Iterable[Path]:
    """The configuration files that a path means: CTS skips a file of another name, or an empty
    one, if it is named itself."""
    if path.is_dir():
        return _in_folder(path)
    return [path] if path.name.endswith(CONFIGURATION) and path.stat().st_size else []


def _in_folder(folder: Path) -> list[Path]:
    """In byte order, as CTS reads a folder."""
    children = (each for each in folder.iterdir() if each.name.endswith(CONFIGURATION))
    visible = (each for each in children if not each.name.startswith(".") and each.is_file())
    return sorted(visible, key=lambda each: os.fsencode(each.name))


def _name(path: Path, base: Path) -> str:
    """As it is written if it then lies below the base, else by what its links lead to."""
    written = Path(os.path.abspath(path))  # noqa: PTH100 (Path has nothing that follows no link)
    inside = next((each for each in (written, path.resolve()) if each.is_relative_to(base)), None)
    if inside is None:
        raise CommandError(
            f"'{path}' is outside of the working directory '{base}': run the command in a folder "
            "that holds all of the configuration, or give that folder alone"
        )
    name = inside.relative_to(base).as_posix()
    if "\n" in name or not _is_text(name):
        raise CommandError(f"{name!r} is no name for a file of a bundle: rename it")
    return name


def _module(base: Path, name: str) -> Iterator[tuple[str, Path]]:
    folder, prefix = (base, "") if name == "." else (base / name, f"{name}/")
    return _below(folder, prefix, _above(folder), is_module=True)


def _above(folder: Path) -> frozenset[Path]:
    return frozenset(folder.resolve().parents)


def _below(
    folder: Path, prefix: str, above: frozenset[Path], *, is_module: bool
) -> Iterator[tuple[str, Path]]:
    """All files, but hidden ones and caches. `above`: the folders it is in, without links."""
    real = folder.resolve()
    if real in above:
        if is_module:
            raise CommandError(
                f"'{folder}' is a link that leads back to a folder above it: remove it"
            )
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in LEFT_OUT or not _is_text(entry.name):
            continue
        if entry.is_dir():
            inner = f"{prefix}{entry.name}/"
            yield from _below(entry, inner, above | {real}, is_module=is_module)
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry


def _near(base: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Files where one was looked for, and two folders deeper: what may have been meant. What
    can't be read is nobody's concern."""
    at = base / name
    while at != base and not _is_folder(at):
        at = at.parent
    folders, left = [(at, 0)], MOST_NEAR
    for folder, depth in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in islice(entries, left):
                left -= 1
                path = Path(entry.path)
                if entry.name.startswith(".") or not _is_text(entry.name):
                    continue
                if entry.is_file():
                    yield path.relative_to(base).as_posix(), path
                elif depth < DEEPEST_NEAR and entry.is_dir(follow_symlinks=False):
                    folders.append((path, depth + 1))


def _is_file(path: Path) -> bool:
    """Raises OSError where nobody may look."""
    return stat.S_ISREG(_mode(path))


def _is_folder(path: Path) -> bool:
    """Raises OSError where nobody may look."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    """0: there is no such file."""
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):  # not there, or a name that no file can have
        return 0


def _is_text(name: str) -> bool:
    """Whether a bundle can hold a file of this name: it knows UTF-8 only."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def explaining_errors() -> Iterator[None]:
    """What the operating system raises becomes a CommandError: a sentence."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"reading '{error.filename}': {error.strerror}") from error
