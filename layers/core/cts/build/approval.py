"""What `terraform apply` asks between its plan and what follows, and the answer.

So one process plans and applies, and the state is locked all the time. While Terraform waits for
the answer, nothing changes: what must be stored before an apply begins is stored then.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import IO

from cts.build.log import Log
from cts.build.output import Copied

QUESTION = "\nDo you want to perform these actions"
RULE, PROMPT = "  Only 'yes' will be accepted to approve.", "  Enter a value: "
"""The same words in all releases, also in those of OpenTofu."""


class Asking(Copied):
    """Standard output of a program that asks."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self._says_rule = False

    def take(self, line: str) -> None:
        if line.strip():
            self._says_rule = line.rstrip() == RULE
        super().take(line)

    @property
    def asks(self) -> bool:
        """Whether it waits for the answer."""
        return self._says_rule and self.line == PROMPT

    @property
    def planned(self) -> str:
        """What it printed before the question."""
        said = str(self)
        return said.rpartition(QUESTION)[0] or said


class Approval:
    """`decide` gets what was printed of the plan. The answer is yes, if it raises no error."""

    def __init__(self, decide: Callable[[str], None]) -> None:
        self.decide = decide
        self.is_given = False
        self.problem: Exception | None = None
        """Why the answer is no, if `decide` said so."""

    def answer(self, output: Asking, stdin: IO[bytes], *, has_error: bool) -> None:
        """`has_error`: whether the program has printed one, and planned on. Terraform asks once:
        what looks like another question is a module's."""
        if stdin.closed:
            return
        self.is_given = not has_error and self._decided(output.planned)
        word = "yes" if self.is_given else "no"
        output.line += word
        with suppress(BrokenPipeError), stdin:
            stdin.write(f"{word}\n".encode())

    def _decided(self, planned: str) -> bool:
        try:
            self.decide(planned)
        except Exception as problem:  # noqa: BLE001  raised by whoever waits for the program
            self.problem = problem
            return False
        return True
