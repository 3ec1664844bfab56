"""The program of archives, each time in a process of its own. It is forked from one that has
imported the program, which takes longer than most of what it does."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# What is forked does not get pytest's path, and would import the checkout that is installed.
sys.path.insert(0, str(Path(__file__).parents[2] / "layers/core"))
multiprocessing.get_context("forkserver").set_forkserver_preload(
    [__name__, "cts.build.main", "cts.build.move", "cts.build.run"]
)


class Build(ForkServerProcess):
    """A build of an archive, with exactly this environment. `output` is where it writes what it
    says, which is for CodeBuild's log."""

    def __init__(
        self, archive: Path, arguments: list[str], environment: dict[str, str], output: Path
    ) -> None:
        super().__init__()
        self.archive, self.arguments = archive, arguments
        self.environment, self.output = environment, output

    def run(self) -> None:
        descriptor = os.open(self.output, os.O_WRONLY | os.O_CREAT)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        os.close(descriptor)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.archive)
        sys.argv = ["execute.py", *self.arguments]
        from cts.build.main import main

        sys.exit(main())

    def end(self, seconds: float = 60) -> str:
        """What it has said, once it has ended."""
        self.join(seconds)
        assert self.exitcode is not None, f"it goes on: {self.output.read_text()}"
        return self.output.read_text()
