"""Whether a folder needs `init`: in the warm lane it is that of the definition's last run, with
what `init` made then.

A stamp says what `init` has read. Terraform compares the packages of the providers with the lock
file in each of its commands, so nothing is trusted for the stamp's sake. The folder of a run that
failed is not kept, and neither is its stamp.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from cts.build.cache import LOCK_FILE
from cts.build.facts import Facts

STAMP = ".terraform/cts-init"
CONFIGURATION = (".tf", ".tf.json", ".tofu", ".tofu.json")
CONSTANT = re.compile(rb"^\s*const\s*=\s*true\b", re.MULTILINE)
"""Of a variable: its value may say where a module is (Terraform 1.15)."""


class Init:
    """The `init` of one run. `folder`: of the root module."""

    def __init__(self, folder: Path, facts: Facts) -> None:
        self.folder, self.facts = folder, facts
        self.stamp = folder / STAMP

    def is_done(self, options: Sequence[str]) -> bool:
        """Whether it would read what it read the last time. `options`: its own; of a file, only the
        name would count."""
        try:
            return self.stamp.read_text() == self._read(options)
        except OSError:
            return False

    def done(self, options: Sequence[str]) -> None:
        """It has succeeded with these options."""
        if (read := self._read(options)) is not None:
            self.stamp.parent.mkdir(exist_ok=True)
            self.stamp.write_text(read)

    def undone(self) -> None:
        """What it made is another by now."""
        self.stamp.unlink(missing_ok=True)

    def _read(self, options: Sequence[str]) -> str | None:
        """A digest of what it reads. None if that can't be told."""
        told = (self.facts.engine, self.facts.terraform_version, *options)
        digest = hashlib.sha256("\0".join(told).encode())
        for file in self._files():
            body = file.read_bytes().replace(self.facts.run.encode(), b"")
            if CONSTANT.search(body):
                return None
            name = file.relative_to(self.folder).as_posix()
            digest.update(f"{name} {len(body)}\n".encode() + body)
        return digest.hexdigest()

    def _files(self) -> list[Path]:
        found = [*self.folder.iterdir(), *(self.folder / "modules").rglob("*")]
        configuration = [each for each in found if each.name.endswith(CONFIGURATION)]
        lock = self.folder / LOCK_FILE
        return [*sorted(configuration), *([lock] if lock.exists() else [])]
