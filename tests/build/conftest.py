"""A work folder as a build finds it, and the build: the program of archives with real Terraform."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cts.adapters.program import program
from cts.build import s3 as build_s3
from cts.build.credentials import Credentials
from cts.build.engine import ENGINES, OnPath
from cts.build.facts import read_facts
from cts.build.log import Log
from cts.build.run import Execution
from cts.build.stop import Stop
from local import tools
from local.provider import parent
from local.provider.mirror import cli_configuration
from local.waiting import wait_until
from tests.build.builds import Build
from tests.build.s3 import S3, serving

SOON = 0.2
"""Minutes. A build with so little time waits for a lock for three seconds."""
TASK = "web"
FOLDER = "f01de4"
STATE = f"state/tasks/{TASK}/terraform.tfstate"
OTHER_STATE = (
    b'{"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "other",'
    b' "outputs": {}, "resources": []}'
)
BACKEND = """
terraform {
  backend "s3" {
    bucket               = "state"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}
"""


@dataclass
class Place:
    """Where builds run: their S3, their environment, and what they left."""

    s3: S3
    folder: Path
    environment: dict[str, str]
    started: list[Build] = field(default_factory=list)

    def archive(
        self,
        run: str,
        main: str,
        *,
        former: list[dict[str, str]] | None = None,
        version: str = "",
        engine: str = "terraform",
        definition: str = "d1",
        inspect: bool = False,
    ) -> Path:
        folder = self.folder / run
        folder.mkdir()
        (folder / "main.tf").write_text(BACKEND + main)
        facts = {
            "task": TASK,
            "run": run,
            "work_bucket": "work",
            "state_bucket": "state",
            "region": "eu-west-1",
            "state_key": f"tasks/{TASK}/terraform.tfstate",
            "terraform_version": version or tools.version_of(tools.terraform()),
            "definition": definition,
            "correlation_id": "c-1",
            "former_runs": former or [],
            "engine": engine,
            "inspect": inspect,
        }
        (folder / "run.json").write_text(json.dumps(facts))
        self.lasts(folder, timedelta(hours=1))
        return folder

    def lasts(self, archive: Path, time: timedelta) -> None:
        """How long the credentials in an archive are valid."""
        (archive / "session.json").write_text(credentials("RUN", time))

    def start(
        self,
        archive: Path,
        build: str = "project:1",
        minutes: float = 60,
        output: Path | None = None,
    ) -> Build:
        arguments = ["--build", build, "--minutes", str(minutes)]
        output = output or self.folder / f"output-{len(self.started)}"
        process = Build(archive, arguments, self.environment, output)
        process.start()
        self.started.append(process)
        return process

    def build(self, archive: Path, build: str = "project:1", minutes: float = 60) -> int | None:
        """Execute the archive to its end: the exit code."""
        process = self.start(archive, build, minutes)
        process.end(120)
        return process.exitcode

    def record(self, run: str, name: str) -> bytes | None:
        return self.s3.objects.get(f"work/runs/{TASK}/{run}/{name}")

    def result(self, run: str) -> dict[str, Any]:
        record = self.record(run, "result.json")
        assert record is not None, f"run {run} left no result"
        result: dict[str, Any] = json.loads(record)
        return result

    def log(self, run: str) -> str:
        return (self.record(run, "log") or b"").decode()

    def resources(self) -> list[str]:
        state = json.loads(self.s3.objects[STATE])
        return [each["name"] for each in state["resources"]]


def execution(archive: Path) -> Execution:
    """A build in this process, which has found its Terraform."""
    facts = read_facts(archive / "run.json")
    on_path = OnPath(ENGINES[facts.engine], facts.terraform_version)
    assert on_path.found(Log())
    return Execution(archive, facts, on_path, "project:1", Stop(60))


def credentials(key: str, lasts: timedelta) -> str:
    """A `session.json`."""
    found = Credentials(key, "secret", "token", datetime.now(UTC) + lasts).as_answer()
    return json.dumps({"folder": FOLDER, **found})


@pytest.fixture
def s3() -> Iterator[S3]:
    with serving() as s3:
        yield s3


@pytest.fixture
def client(s3: S3, monkeypatch: pytest.MonkeyPatch) -> build_s3.S3:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    return build_s3.S3("eu-west-1")


@pytest.fixture
def place(s3: S3, tmp_path: Path) -> Iterator[Place]:
    with placed(s3, tmp_path) as place:
        yield place


def with_program(folder: Path) -> Path:
    for name, text in program().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@contextmanager
def placed(s3: S3, folder: Path) -> Iterator[Place]:
    settings = folder / "terraformrc"
    settings.write_text(cli_configuration())
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TF_CLI_CONFIG_FILE": str(settings),
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **tools.TERRAFORM_ENVIRONMENT,
        **parent.environment(),
    }
    place = Place(s3, folder, environment)
    # With another workspace in the bucket Terraform is pickier about one that doesn't exist yet.
    s3.objects["state/tasks/other/terraform.tfstate"] = OTHER_STATE
    yield place
    for process in place.started:
        kill(process)


def kill(process: Build) -> None:
    """The end of a container: the build and everything it started, at once."""
    if process.is_alive():
        for child in children(process):
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        process.kill()
        process.join()


def children(process: Build) -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(child) for child in text.split()]


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    wait_until(holds, seconds, "the build", every=0.02)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a Terraform that has no settings of this machine, and finds the test provider."""
    settings = tmp_path / "terraformrc"
    settings.write_text(cli_configuration())
    return {
        **os.environ,
        **tools.TERRAFORM_ENVIRONMENT,
        **parent.environment(),
        "TF_CLI_CONFIG_FILE": str(settings),
        "CHECKPOINT_DISABLE": "1",
    }
