"""What Terraform prints, on its way to the log."""

import codecs
import io
import os
import selectors
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from cts.build.log import Log, Tail
from cts.build.masking import LineMask

OUTPUT_CHARACTERS = 4_000_000
LINE_CHARACTERS = 1_000_000
CHUNK = 65_536
STATE_BYTES = 64 * 2**20
STATE_LINES = 10


def started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: int = DEVNULL
) -> Popen[bytes]:
    """A program whose output is read, in a separate process group: a signal to ours would end
    Terraform's providers before Terraform. Raises OSError and ValueError."""
    return Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=PIPE,
        stderr=PIPE,
        process_group=0,
    )


class Copied:
    """A stream's text, copied to the log while it comes."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.copied, self.mask = Tail(OUTPUT_CHARACTERS), LineMask()
        self.line = ""
        """What has come of the last line."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = io.IncrementalNewlineDecoder(decoder, translate=True)

    def add(self, data: bytes) -> None:
        """Nothing: the stream has ended."""
        text = self._text.decode(data, final=not data)
        *lines, self.line = f"{self.line}{text}".split("\n")
        for line in lines:
            self.take(f"{line}\n")
        if self.line and (not data or len(self.line) >= LINE_CHARACTERS):
            self.take(self.line)
            self.line = ""

    def take(self, line: str) -> None:
        self.copied.add(self.log.write(self.mask(self.log.hidden(line))))

    def __str__(self) -> str:
        return str(self.copied)


class TerraformErrors(Copied):
    """Standard error. There Terraform prints a state, secrets and all, that it could store neither
    in the bucket nor in a file: that is kept, and not shown."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.state = ""
        self.block: list[str] = []
        self.room, self.is_state = STATE_BYTES, False

    def add(self, data: bytes) -> None:
        super().add(data)
        if not data:
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


class Reading(threading.Thread):
    """Reads both streams of a program until they end. `when_read`: what to do whenever all that
    was printed so far has been read, errors too."""

    def __init__(
        self,
        process: Popen[bytes],
        output: Copied,
        errors: Copied,
        when_read: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(daemon=True)
        assert process.stdout
        assert process.stderr
        self._streams = ((process.stdout, output), (process.stderr, errors))
        self._when_read = when_read
        self.start()

    def run(self) -> None:
        with selectors.DefaultSelector() as left:
            for stream, copied in self._streams:
                left.register(stream, selectors.EVENT_READ, copied)
            while left.get_map():
                ready = left.select(0)
                if not ready:
                    self._when_read()
                    ready = left.select()
                for key, _ in ready:
                    data = os.read(key.fd, CHUNK)
                    key.data.add(data)
                    if not data:
                        left.unregister(key.fileobj)

    def end(self) -> None:
        """Once the program has ended. Not for ever: a program a module left in the background may
        hold a stream open."""
        self.join(timeout=5)
