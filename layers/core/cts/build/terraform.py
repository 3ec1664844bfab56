"""Terraform's commands."""

import json
import re
import subprocess
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any, NamedTuple

from cts.build.approval import Approval, Asking
from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.masking import masked
from cts.build.output import Reading, TerraformErrors, started
from cts.build.stop import Stop

ERROR_CHARACTERS = 4096
PULL_SECONDS = 120
SAYS_ERROR = re.compile(r"^[ \t│]*Error: ", re.MULTILINE)
IN_VARIABLES = re.compile(r"^[ \t│]*on \S+\.tfvars(?:\.json)? line \d+", re.MULTILINE)
IN_SETTINGS = re.compile(
    r"^[ \t│]*on (?:main\.tf line \d+, in terraform:|secret\.backend\.json line \d+)", re.MULTILINE
)
"""Of the backend, and of what the configuration requires: `validate` does not look at the first."""
Codes = tuple[int, ...]


class Ended(NamedTuple):
    code: int
    output: str
    errors: str
    state: str
    """What Terraform printed of a state that it could store nowhere."""


class TerraformProcess:
    """The program, in the folder of the root module."""

    def __init__(
        self, binary: str, folder: Path, log: Log, stop: Stop, environment: dict[str, str]
    ) -> None:
        self.binary, self.folder, self.log, self.stop = binary, folder, log, stop
        self.name = Path(binary).name.partition("-")[0]
        self.printed_state = self.version = ""
        self.was_killed = False
        self.environment = environment | {
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def planned(self, plan: Path) -> Any:
        """A plan as JSON. It holds values, secret ones too: not for the log."""
        said = subprocess.run(
            [self.binary, "show", "-json", str(plan)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return json.loads(said.stdout)

    def pulled_state(self) -> bytes:
        """The stored state, which is not for the log. Raises RunError."""
        try:
            said = subprocess.run(
                [self.binary, "state", "pull", "-no-color"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=PULL_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise RunError(f"{self.name} state pull: {masked(error.stderr.decode())}") from error
        except (OSError, subprocess.SubprocessError) as error:
            raise RunError(f"{self.name} state pull: {error}") from error
        return said.stdout

    def run(self, *arguments: str, codes: Codes = (0,), approval: Approval | None = None) -> Ended:
        """How the command ended, if with one of `codes`, uninterrupted, and without an error:
        Terraform 1.15 plans on after one in a file of variables. `approval`: if it asks."""
        self.stop.check()
        self.log.note(f"{self.name} {' '.join(arguments)}")
        ended = self._ended(arguments, approval)
        if self.stop.reason or says_error(ended.errors) or ended.code not in codes:
            command = f"{self.name} {' '.join(takewhile(str.isalpha, arguments))}"
            command += f", interrupted because {self.stop.reason}" if self.stop.reason else ""
            self.log.note(f"{command}: ended with code {ended.code}")
            self.printed_state = ended.state
            raise RunError(f"{command}: {_reason(ended)}", logged=True)
        return ended

    def converging(self, *arguments: str, codes: Codes = (0,)) -> Ended:
        """As `run`; what fails because the configuration is wrong is not to be tried again."""
        try:
            return self.run(*arguments, codes=codes)
        except RunError as failed:
            self._judge(failed)
            raise

    def applying(
        self, decide: Callable[[str], None], *arguments: str, codes: Codes = (0,)
    ) -> Ended:
        """An apply without a saved plan: `decide` gets what it plans, and keeps it from going on by
        raising an error. If there is nothing to change, it is not asked. As `converging`, as far
        as the plan goes."""
        approval = Approval(decide)
        try:
            return self.run(*arguments, codes=codes, approval=approval)
        except RunError as failed:
            if approval.problem:
                raise approval.problem from None
            if not approval.is_given:
                self._judge(failed)
            raise

    def _judge(self, failed: RunError) -> None:
        if not self.stop.reason and (mistake := self.mistake(str(failed))):
            failed.retryable, failed.because = False, mistake

    def mistake(self, error: str) -> str:
        """Where the cause of the error is, if it is in the configuration: in a file of variables,
        or `validate` finds it, which needs no network. Empty when in doubt: an outage must not end
        the retries."""
        if IN_VARIABLES.search(error):
            return "the error is in a file of variables"
        if IN_SETTINGS.search(error):
            return "the error is in the backend's options, or in what is required of Terraform"
        try:
            said = subprocess.run(
                [self.binary, "validate", "-json"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=60,
            )
            found = [each for each in json.loads(said.stdout)["diagnostics"] if "range" in each]
            mistakes = [each["summary"] for each in found if each["severity"] == "error"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            return ""
        told = " ".join(error.split())
        is_found = any(mistake in told for mistake in mistakes)
        where = f"{self.name} validate finds the error in the configuration"
        return where if is_found else ""

    def _ended(self, arguments: tuple[str, ...], approval: Approval | None) -> Ended:
        stdin = PIPE if approval else DEVNULL
        process = started([self.binary, *arguments], self.folder, self.environment, stdin)
        output, errors = Asking(self.log), TerraformErrors(self.log)

        def answer() -> None:
            if approval and process.stdin and output.asks:
                approval.answer(output, process.stdin, has_error=says_error(str(errors)))

        reading = Reading(process, output, errors, answer)
        code = self.stop.wait(process)
        reading.end()
        # By ourselves, or for want of memory. Otherwise it has stored its state.
        self.was_killed = self.was_killed or code < 0
        return Ended(code, str(output), str(errors), errors.state)


def says_error(errors: str) -> bool:
    return SAYS_ERROR.search(errors) is not None


def _reason(ended: Ended) -> str:
    """Terraform's own words; the end of them, if there are many."""
    text = ended.errors.strip() or f"it ended with code {ended.code} and said nothing"
    return text if len(text) <= ERROR_CHARACTERS else "... " + text[-ERROR_CHARACTERS:]


def backend_options(version: str, *, other_endpoint: bool) -> list[str]:
    """What main.tf can't say: lock files need Terraform 1.10; another endpoint than AWS's has
    buckets in the path, and perhaps nothing but S3."""
    options = []
    if tuple(int(part) for part in version.split(".")[:2]) >= (1, 10):
        options.append("use_lockfile")
    if other_endpoint:
        options += ["use_path_style", "skip_credentials_validation", "skip_requesting_account_id"]
    return [f"-backend-config={option}=true" for option in options]
