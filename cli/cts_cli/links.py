"""Symbolic links among the files of a configuration. They may lead to anything in its folder."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cts_cli.errors import CommandError

COPY = "copy what was meant there, or remove the link"


@dataclass(frozen=True, slots=True)
class Links:
    inside: Sequence[Path]
    """Resolved: the folder that the names begin at, and what else was given by name."""

    def leads_out(self, real: Path) -> bool:
        return not any(real.is_relative_to(each) for each in self.inside)

    def check(self, path: Path) -> None:
        """Raises CommandError if it is a link that leads out, or to nothing that can be read."""
        if not os.path.islink(path):  # noqa: PTH114 (Path's raises if the name is too long)
            return
        try:
            real = Path(os.path.realpath(path, strict=True))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _refused(path, "which leads back to it") from error
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise _refused(path, "which does not exist") from error
            raise
        if self.leads_out(real):
            what = f"which is outside '{self.inside[0]}'"
            raise _refused(path, what, real)
        if not real.is_file() and not real.is_dir():
            raise _refused(path, "which is neither a file nor a folder", real)

    def check_each(self, base: Path, name: str) -> None:
        """Every link on the way from the base to a name."""
        at = base
        for part in Path(name).parts:
            at /= part
            self.check(at)


def _refused(link: Path, what: str, to: Path | None = None) -> CommandError:
    return CommandError(f"'{link}' is a link to '{to or link.readlink()}', {what}: {COPY}")
