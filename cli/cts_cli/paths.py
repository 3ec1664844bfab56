"""What is at a path, and whether a bundle can have its name."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cts.config.names import wrong_name
from cts_cli.errors import CommandError


def working_directory() -> Path:
    """Raises CommandError if it has been deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise CommandError(
            "the working directory was deleted: change to one that exists"
        ) from error


def is_file(path: Path) -> bool:
    """Raises OSError if access is denied."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Raises OSError if access is denied."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    """0 if there is no such file."""
    try:
        return path.stat().st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):  # missing, or not a possible file name
        return 0


def refuse_name(name: str) -> None:
    wrong = wrong_name(name) if is_text(name) else "is not UTF-8"
    if wrong:
        raise CommandError(f"{name!r} can't be a name in a bundle, because it {wrong}: rename it")


def is_text(name: str) -> bool:
    """Whether a bundle can contain a file with this name: names must be UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def explaining_errors() -> Iterator[None]:
    """Turn errors of the operating system into a CommandError."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"reading '{error.filename}': {error.strerror}") from error
