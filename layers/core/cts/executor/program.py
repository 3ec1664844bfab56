"""The program of runs, in a process that begins before there is a run: when one comes, Python and
all that the program imports are there.

The process executes the function's own files, to which no module can write, and serves one run. An
archive of another release, during an upgrade, is executed with the files that it brings.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE
from zipfile import ZipFile

from cts import build
from cts.executor.processes import Child, begun

WAITING = Path(build.__file__).with_name("waiting.py")
STANDARD_ERROR = 2
"""Standard output is not ours alone: Lambda's runtime may answer there."""


class Program:
    """`files`: the function's own, as texts by their names in an archive; `environment`: what the
    programs of all runs have in theirs."""

    def __init__(self, files: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.files, self.environment = files, environment
        self._waiting: Child | None = self._begun()

    def is_in(self, archive: ZipFile) -> bool:
        """Whether the archive brings these files."""
        names = {*archive.namelist()}
        return all(
            name in names and archive.read(name) == text.encode()
            for name, text in self.files.items()
        )

    def start(
        self, folder: Path, environment: Mapping[str, str], arguments: Sequence[str]
    ) -> Child:
        """For the run whose folder it is. `environment`: what is added for this run."""
        if self._waiting and self._waiting.process.poll() is not None:
            self.end()
        child, self._waiting = self._waiting or self._begun(), None
        told = {"folder": str(folder), "environment": environment, "arguments": arguments}
        assert child.process.stdin
        with child.process.stdin as pipe:
            pipe.write(json.dumps(told).encode())
        return child

    def start_unpacked(
        self, folder: Path, environment: Mapping[str, str], arguments: Sequence[str]
    ) -> Child:
        """As `start`, with the files that the archive has brought to the folder."""
        self.end()
        return begun(
            [sys.executable, "-S", "execute.py", *arguments],
            cwd=folder,
            env={**self.environment, **environment},
            stdin=DEVNULL,
            stdout=STANDARD_ERROR,
        )

    def renew(self) -> None:
        """Once nothing of a run is left, unless one waits already. Returns when the process
        waits: between invocations, Lambda lets nothing go on."""
        if self._waiting is None:
            self._waiting = self._begun()
            assert self._waiting.process.stdout
            self._waiting.process.stdout.read(1)

    def end(self) -> None:
        """No process waits: a module of a run could reach it."""
        if self._waiting:
            with self._waiting.process as process:
                process.kill()
            self._waiting = None

    def _begun(self) -> Child:
        command = [sys.executable, "-I", "-S", str(WAITING)]
        return begun(command, env=self.environment, stdin=PIPE, stdout=PIPE)
