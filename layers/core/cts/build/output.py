"""What Terraform prints, on its way to the log."""

import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO

from cts.build.log import Log, Tail
from cts.build.masking import LineMask

OUTPUT_CHARACTERS = 4_000_000
LINE_CHARACTERS = 1_000_000
STATE_BYTES = 64 * 2**20
STATE_LINES = 10


def started(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Popen[str]:
    """A program whose output is read, in a separate process group: a signal to ours would end
    Terraform's providers before Terraform. Raises OSError and ValueError."""
    return Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        encoding="utf-8",
        errors="replace",
        process_group=0,
    )


class Copied(threading.Thread):
    """A stream's text, copied to the log while it comes."""

    def __init__(self, stream: IO[str] | None, log: Log) -> None:
        super().__init__(daemon=True)
        self.stream, self.log = stream or io.StringIO(), log
        self.copied, self.mask = Tail(OUTPUT_CHARACTERS), LineMask()
        self.start()

    def run(self) -> None:
        while line := self.stream.readline(LINE_CHARACTERS):
            self.take(line)

    def take(self, line: str) -> None:
        self.copied.add(self.log.write(self.mask(self.log.hidden(line))))

    def text(self) -> str:
        # Not for ever: a program a module left in the background may hold the stream open.
        self.join(timeout=5)
        return str(self.copied)


class TerraformErrors(Copied):
    """Standard error. There Terraform prints a state, secrets and all, that it could store neither
    in the bucket nor in a file: that is kept, and not shown."""

    def __init__(self, stream: IO[str] | None, log: Log) -> None:
        self.state = ""
        self.block: list[str] = []
        self.room, self.is_state = STATE_BYTES, False
        super().__init__(stream, log)

    def run(self) -> None:
        super().run()
        self.end_block()

    def take(self, line: str) -> None:
        if not self.block and line != "{\n":
            super().take(line)
            return
        self.room -= len(line)
        if self.room >= 0:
            self.block.append(line)
        self.is_state = self.is_state or line.startswith('  "lineage": ')
        # A state says in its first lines that it is one.
        if line == "}\n" or (len(self.block) > STATE_LINES and not self.is_state):
            self.end_block()

    def end_block(self) -> None:
        lines, self.block = self.block, []
        if self.is_state:
            self.state, lines = "".join(lines), ["(the state, which is not shown)\n"]
        self.room, self.is_state = STATE_BYTES, False
        for line in lines:
            super().take(line)
