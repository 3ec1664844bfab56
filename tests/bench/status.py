"""How long `cts status` takes in a stack with many tasks, as its user sees it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from cts import keys
from cts.adapters.table import Table
from cts.config.bundle import archive
from cts.run.state import Outcome
from cts.watch.view import rows_of
from local.stack import Stack
from local.tools import PROJECT
from local.waiting import wait_until

TASKS = 500
SAMPLES = 7
PATIENCE = 120.0
TASK = """
task {{
  name    = "{name}"
  module  = "acme/edge/acmefw"
  enabled = false
  condition "services" {{
    names = ["{name}"]
  }}
}}
"""


def status_costs() -> Iterator[tuple[str, tuple[float, str]]]:
    """Of the whole command, when the reader has served it before. It is installed by itself: the
    packages of the project's own environment would be imported, too."""
    names = [f"task-{number:03}" for number in range(TASKS)]
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack.start(Path(folder), schedules=False) as stack,
    ):
        command = _installed(Path(folder) / "command")
        _publish(stack, names)
        _status(stack, command)
        seconds = [_status(stack, command) for _ in range(SAMPLES)]
    yield f"status_{TASKS}_tasks_s", (round(median(seconds), 2), "s")


def _installed(folder: Path) -> Path:
    """The command `cts`, with the versions that are tested."""
    versions = ["--constraints", str(PROJECT / "requirements-dev.txt")]
    for arguments in (
        ["venv", "--python", sys.executable, str(folder)],
        ["pip", "install", "--python", str(folder), "--compile-bytecode", *versions, str(PROJECT)],
    ):
        subprocess.run(["uv", *arguments], check=True, capture_output=True)
    return folder / "bin/cts"


def _publish(stack: Stack, names: list[str]) -> None:
    """Tasks that have run, and whose views were read."""
    table = Table(stack.client("dynamodb"), stack.outputs["Table"])
    body = archive({"tasks.hcl": "".join(TASK.format(name=each) for each in names).encode()})
    stack.client("s3").put_object(Bucket=stack.outputs["WorkBucket"], Key=keys.BUNDLE, Body=body)
    wait_until(lambda: table.current() is not None, PATIENCE, "the publisher")
    for name in names:
        wait_until(partial(_ran, table, name), PATIENCE, f"the state of {name}")
    wait_until(lambda: len(rows_of(table.chunks())) == len(names), PATIENCE, "the views")


def _ran(table: Table, name: str) -> bool:
    """False if the poller has written the state meanwhile."""
    runs = (f"{name}-20260101T00000{number}-abcdef" for number in range(5))
    recent = tuple(Outcome(run, True, 1.0, None, 1.0) for run in runs)
    return table.put_state(replace(table.state(name), recent=recent))


def _status(stack: Stack, command: Path) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [command, "status"],
        env=stack.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{TASKS} tasks" in done.stdout, done.stdout
    return time.monotonic() - began
