"""The program that executes a run: Terraform or OpenTofu, of exactly one version."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cts.build.errors import RunError

if TYPE_CHECKING:
    from cts.build.log import Log
    from cts.build.s3 import S3


class Engine(NamedTuple):
    title: str
    program: str


ENGINES = {
    "terraform": Engine("Terraform", "terraform"),
    "opentofu": Engine("OpenTofu", "tofu"),
}


class OnPath:
    """What there is on PATH: `terraform-1.9.8`, else a `terraform` that is asked its version. It
    takes a while to answer, which other work can fill."""

    def __init__(self, engine: Engine, version: str) -> None:
        self.engine, self.version = engine, version
        self.exact = shutil.which(f"{engine.program}-{version}")
        self.other = None if self.exact else shutil.which(engine.program)
        self._asked: subprocess.Popen[bytes] | OSError | None = None
        if self.other:
            self._asked = _asked(self.other)

    def found(self, log: "Log") -> str | None:
        """None if it is not of this version. Raises RunError if it can't be run."""
        if self._asked is None:
            return self.exact
        there = self._answer(self._asked)
        if there == self.version:
            return self.other
        title, needed = self.engine.title, self.version
        log.note(f"{self.other} is {title} {there}, but {needed} is needed, so it is not used")
        return None

    def _answer(self, asked: subprocess.Popen[bytes] | OSError) -> str:
        try:
            if isinstance(asked, OSError):
                raise asked
            said, _ = asked.communicate()
            return str(json.loads(said)["terraform_version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"running {self.other} version -json: {error}") from error


def _asked(binary: str) -> subprocess.Popen[bytes] | OSError:
    """An error is raised only when the answer is needed: then it becomes the run's."""
    try:
        return subprocess.Popen(
            [binary, "version", "-json"],
            env=os.environ | {"CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        return error


def find_engine(on_path: OnPath, s3: "S3", bucket: str, folder: Path, log: "Log") -> str:
    """The program: from PATH, else the work bucket's cache, else the official release. Raises
    RunError."""
    if found := on_path.found(log):
        return found
    from cts.build.release import unpacked

    return unpacked(on_path.engine, on_path.version, s3, bucket, folder, log)


def system() -> str:
    """This machine, as releases name it: linux_arm64."""
    here = os.uname()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(here.machine, here.machine)
    return f"{here.sysname.lower()}_{machine}"
