"""The files that a command reads: the configuration files in order, and those they refer to."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import islice
from pathlib import Path

from cts.config import bundle
from cts.config.bundle import CONFIGURATION, SOURCES
from cts.config.limits import LARGEST_BUNDLE, MOST_FILES, in_mib
from cts.config.written import configuration
from cts_cli.errors import CommandError
from cts_cli.links import Links
from cts_cli.paths import (
    explaining_errors,
    is_file,
    is_folder,
    is_text,
    refuse_name,
    working_directory,
)

LEFT_OUT = {"__pycache__"}
MOST_FOLDERS = 10_000
MOST_NEAR = 5_000
"""Files looked at to suggest what was meant."""
DEEPEST_NEAR = 2


class Sources(Mapping[str, bytes]):
    """The configuration files by their names relative to a folder, the files they refer to, and,
    where such a file is missing, some files near it, to suggest what was meant.

    Files are found and read only when asked for, and each is read once.
    """

    def __init__(self, base: Path, links: Links, listed: Sequence[str] | None = None) -> None:
        self.base = base
        self._links = links
        self._listed = listed
        self._paths: dict[str, Path] | None = None
        self._contents: dict[str, bytes] = {}
        if listed is not None:
            self._contents[SOURCES] = "".join(f"{name}\n" for name in listed).encode()
        self._others: set[Path] = set()
        """Resolved: the configuration and what it names, which modules don't contain."""
        self._size = self._folders = 0

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
        """Whether a folder was given, rather than individual files."""
        return self._listed is None

    @property
    def _found(self) -> dict[str, Path]:
        if self._paths is None:
            with explaining_errors():
                self._paths = self._find()
        return self._paths

    def _find(self) -> dict[str, Path]:
        listed = self._listed
        names = listed
        if names is None:
            names = [each.name for each in _in_folder(self.base, self._links)]
        for name in names:
            refuse_name(name)
            self._contents[name] = self._read(self.base / name)
        found = {name: self.base / name for name in self._contents}
        final = configuration(self._contents)
        named = bundle.named(final)
        self._check_named(names, named.files, bundle.variable_files(final))
        for name, path in self._named(named):
            found[name] = path
            if len(found) > MOST_FILES:
                raise CommandError(
                    f"the configuration refers to more than {MOST_FILES:,} files; the last one "
                    f"found is '{path}'"
                )
        return found

    def _check_named(self, names: Iterable[str], files: Set[str], variables: Set[str]) -> None:
        """`names`: of the configuration files. `variables`: some of the files that they name."""
        written = self._resolved(names)
        beside_variables = written | self._resolved(files - variables)
        beside_others = written | self._resolved(variables)
        self._others = beside_variables | beside_others
        for name in sorted(files):
            self._links.check_each(self.base, name)
            others = beside_variables if name in variables else beside_others
            self._links.check_target(self.base / name, name, others, is_named=True)

    def _resolved(self, names: Iterable[str]) -> set[Path]:
        return {Path(os.path.realpath(self.base / name)) for name in names}

    def _named(self, named: bundle.Named) -> Iterator[tuple[str, Path]]:
        for name in sorted(named.modules | named.certificates):
            self._links.check_each(self.base, name)
        for name in sorted(named.modules):
            if is_folder(self.base / name):
                yield from self._module(name)
            else:
                yield from self._near(name)
        for name in sorted(named.files | named.certificates):
            path = self.base / name
            if is_file(path):
                refuse_name(name)
                yield name, path
            elif name not in named.certificates:
                yield from self._near(name)
            elif is_folder(path):
                yield from self._below(path, f"{name}/", _above(path), is_module=False)
        for name in sorted(named.not_modules):
            if is_folder(self.base / name):
                yield from self._near(name)

    def _module(self, name: str) -> Iterator[tuple[str, Path]]:
        folder, prefix = (self.base, "") if name == "." else (self.base / name, f"{name}/")
        return self._below(folder, prefix, _above(folder), is_module=True)

    def _below(
        self, folder: Path, prefix: str, above: frozenset[Path], *, is_module: bool
    ) -> Iterator[tuple[str, Path]]:
        """All files except hidden ones and caches. `above`: the resolved parent folders."""
        real = folder.resolve()
        if real in above:
            if is_module:
                raise CommandError(
                    f"'{folder}' is a link to a folder above it, '{real}': remove it"
                )
            return
        self._links.check(folder)
        self._count_folder(folder)
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith(".") or entry.name in LEFT_OUT or not is_text(entry.name):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                yield from self._below(entry, f"{name}/", above | {real}, is_module=is_module)
            else:
                self._links.check(entry)
                if entry.is_file():
                    self._links.check_target(entry, name, self._others)
                    refuse_name(name)
                    yield name, entry

    def _count_folder(self, folder: Path) -> None:
        """By links, a few folders without files can lead to each other in very many ways."""
        self._folders += 1
        if self._folders > MOST_FOLDERS:
            raise CommandError(
                f"the configuration refers to more than {MOST_FOLDERS:,} folders; the last one "
                f"found is '{folder}'"
            )

    def _near(self, name: str) -> Iterator[tuple[str, Path]]:
        """Files in the place where one was expected, down to two folders deeper: one of them may
        have been meant. Links are not followed. Ignore what can't be read."""
        at = self.base / name
        while at != self.base and not is_folder(at):
            at = at.parent
        if self._links.leads_out(at.resolve()):
            return
        folders, left = [(at, 0)], MOST_NEAR
        for folder, depth in folders:
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in islice(entries, left):
                    left -= 1
                    path = Path(entry.path)
                    if entry.name.startswith(".") or not is_text(entry.name):
                        continue
                    if entry.is_file(follow_symlinks=False):
                        yield path.relative_to(self.base).as_posix(), path
                    elif depth < DEEPEST_NEAR and entry.is_dir(follow_symlinks=False):
                        folders.append((path, depth + 1))

    def _read(self, path: Path) -> bytes:
        with explaining_errors():
            self._size += path.stat().st_size
            if self._size > LARGEST_BUNDLE:
                raise CommandError(
                    f"the configuration and the files it refers to have more than "
                    f"{in_mib(LARGEST_BUNDLE)}; the last file read is '{path}'"
                )
            return path.read_bytes()


def find(paths: Sequence[Path]) -> Sources:
    """The files to read. One folder is read as a bundle. A file, or several paths, are read in
    order, as in CTS; all paths are then relative to the working directory.

    Raises CommandError if there is no configuration.
    """
    base = working_directory()
    with explaining_errors():
        for path in paths:
            _must_exist(path)
        given = [path.resolve() for path in paths]
    if len(paths) == 1 and paths[0].is_dir():
        links = Links(given)
        with explaining_errors():
            if not any(_in_folder(paths[0], links)):
                raise CommandError(
                    f"no configuration files found: '{paths[0]}' has no .hcl or .json files at "
                    "its top level"
                )
        return Sources(paths[0], links)
    links = Links([base, *given])
    with explaining_errors():
        chosen = [each for path in paths for each in _chosen(path, links)]
    if not chosen:
        names = ", ".join(f"'{path}'" for path in paths)
        raise CommandError(
            f"no configuration files found in {names}: files that are empty, or not named "
            "*.hcl or *.json, are skipped"
        )
    return Sources(base, links, [_name(path, base) for path in chosen])


def _must_exist(path: Path) -> None:
    if not path.exists():
        if path.is_symlink():
            raise CommandError(f"'{path}' is a link that leads to no file: correct or remove it")
        raise CommandError(f"'{path}': no such file or directory")
    if not path.is_dir() and not path.is_file():
        raise CommandError(f"'{path}' is neither a file nor a folder")


def _chosen(path: Path, links: Links) -> Iterable[Path]:
    """The configuration files at a path. Like CTS, skip a file that is empty or has another
    extension, even if it is given by name."""
    if path.is_dir():
        return _in_folder(path, links)
    return [path] if path.name.endswith(CONFIGURATION) and path.stat().st_size else []


def _in_folder(folder: Path, links: Links) -> list[Path]:
    """In byte order of their names, like CTS."""
    children = (each for each in folder.iterdir() if each.name.endswith(CONFIGURATION))
    visible = [each for each in children if not each.name.startswith(".")]
    for each in visible:
        links.check(each)
    return sorted(filter(Path.is_file, visible), key=lambda each: os.fsencode(each.name))


def _name(path: Path, base: Path) -> str:
    """The path relative to the base: as written if that is inside, else with links resolved."""
    written = Path(os.path.abspath(path))  # noqa: PTH100 (Path has nothing that follows no link)
    inside = next((each for each in (written, path.resolve()) if each.is_relative_to(base)), None)
    if inside is None:
        raise CommandError(
            f"'{path}' is outside the working directory '{base}': run the command in a folder "
            "that contains the whole configuration, or pass only that folder"
        )
    name = inside.relative_to(base).as_posix()
    if "\n" in name or not is_text(name):
        raise CommandError(
            f"{name!r} can't be used as a name in a bundle: rename the file, without line breaks "
            "and in UTF-8"
        )
    return name


def _above(folder: Path) -> frozenset[Path]:
    return frozenset(folder.resolve().parents)
