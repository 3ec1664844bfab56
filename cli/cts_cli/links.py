"""Symbolic links among the files of a configuration. They may lead to what is in its folder and
would be pushed by its own name, too."""

import errno
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cts.config.bundle import LEFT_OUT, NO_PART
from cts.config.modules.secret_files import is_for_secrets
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
        if self._is_hidden(real):
            raise _refused(path, "which is hidden, so it is not pushed by its own name", real)
        if not real.is_file() and not real.is_dir():
            raise _refused(path, "which is neither a file nor a folder", real)

    def _is_hidden(self, real: Path) -> bool:
        """Below the folder. Names with two dots are those of a mounted ConfigMap."""
        root = next(each for each in self.inside if real.is_relative_to(each))
        return any(
            part in LEFT_OUT or (part.startswith(".") and not part.startswith(".."))
            for part in real.relative_to(root).parts
        )

    def check_target(
        self, path: Path, name: str, others: Collection[Path], *, is_named: bool = False
    ) -> None:
        """Raises CommandError if a file, found by a link, would not be pushed by its own name.
        `others`: resolved, files that are pushed in another way or not at all. `is_named`: the
        configuration names the link itself, so it knows what the file is."""
        real = Path(os.path.realpath(path))
        if real == self.inside[0] / name:
            return
        no_part = NO_PART.search(real.name)
        if no_part and (not is_named or no_part.group().startswith(".tfstate")):
            raise _refused(path, "a state or variable file, which modules don't contain", real)
        if real in others or (not is_named and is_for_secrets(real.name)):
            raise _refused(path, "which is not pushed as it is, because of its secrets", real)

    def check_each(self, base: Path, name: str) -> None:
        """Every link on the way from the base to a name."""
        at = base
        for part in Path(name).parts:
            at /= part
            self.check(at)


def _refused(link: Path, what: str, to: Path | None = None) -> CommandError:
    return CommandError(f"'{link}' is a link to '{to or link.readlink()}', {what}: {COPY}")
