"""Terraform's commands."""

import json
import subprocess
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.output import Copied, TerraformErrors
from cts.build.stop import Stop

ERROR_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Ended:
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
        self.printed_state = ""
        self.environment = environment | {
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def version(self) -> str:
        try:
            said = subprocess.run(
                [self.binary, "version", "-json"],
                env=self.environment,
                capture_output=True,
                check=True,
            )
            return str(json.loads(said.stdout)["terraform_version"])
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"running {self.binary} version -json: {error}") from error

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

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
        """How the command ended, if with one of `codes` and uninterrupted."""
        self.stop.check()
        self.log.note("terraform " + " ".join(arguments))
        ended = self._ended(arguments)
        if self.stop.reason or ended.code not in codes:
            command = f"terraform {' '.join(takewhile(str.isalpha, arguments))}"
            command += f", interrupted because {self.stop.reason}" if self.stop.reason else ""
            self.log.note(f"{command}: ended with code {ended.code}")
            self.printed_state = ended.state
            raise RunError(f"{command}: {_reason(ended)}", logged=True)
        return ended

    def converging(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
        """As `run`; what fails because the configuration is wrong is not to be tried again."""
        try:
            return self.run(*arguments, codes=codes)
        except RunError as failed:
            if not self.stop.reason and self.is_mistake(str(failed)):
                failed.retryable = False
            raise

    def is_mistake(self, error: str) -> bool:
        """Whether `validate`, which needs no network, finds the cause of the error in the
        configuration. False when in doubt: an outage must not end the retries."""
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
            return False
        told = " ".join(error.split())
        return any(mistake in told for mistake in mistakes)

    def _ended(self, arguments: tuple[str, ...]) -> Ended:
        # A group of its own: a signal to our whole group would end the providers before Terraform.
        process = subprocess.Popen(
            [self.binary, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        output, errors = Copied(process.stdout, self.log), TerraformErrors(process.stderr, self.log)
        code = self.stop.wait(process)
        return Ended(code, output.text(), errors.text(), errors.state)


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
