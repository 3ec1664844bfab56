"""A folder as the files of a bundle."""

from collections.abc import Iterator
from pathlib import Path

from cts.config.bundle import LARGEST_BUNDLE, configuration_files
from cts_cli.errors import CommandError

LEFT_OUT = {"__pycache__"}


def read(folder: Path) -> dict[str, bytes]:
    """Name -> content of what is pushed: all but hidden files and folders, and Python's caches.

    Raises CommandError if there is no configuration at the top of the folder.
    """
    if not folder.exists():
        raise CommandError(f"no folder '{folder}'")
    if not folder.is_dir():
        raise CommandError(f"'{folder}' is a file: push the folder that holds it")
    try:
        found = dict(_files(folder, "", frozenset()))
        _check(folder, found)
        return {name: path.read_bytes() for name, path in found.items()}
    except OSError as error:
        raise CommandError(f"reading '{error.filename}': {error.strerror}") from error


def _check(folder: Path, found: dict[str, Path]) -> None:
    if not configuration_files(dict.fromkeys(found, b"")):
        raise CommandError(
            f"no .hcl or .json file at the top of '{folder}': that is where a configuration is read"
        )
    if sum(path.stat().st_size for path in found.values()) > LARGEST_BUNDLE:
        raise CommandError(
            f"the files in '{folder}' are more than {LARGEST_BUNDLE // 1024**2} MiB: "
            "push a folder with nothing but a configuration and its modules"
        )


def _files(folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    real = folder.resolve()
    if real in above:
        raise CommandError(f"'{folder}' is a link that leads back to a folder above it: remove it")
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/", above | {real})
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry
