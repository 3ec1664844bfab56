"""The command `cts`, each time in a process of its own. It is forked from one that has imported the
command and what boto3 knows of the services, which takes longer than most of what it does."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import TYPE_CHECKING

import cts_cli

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STANDARD = ("stdin", "stdout", "stderr")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *(f"cts_cli.{each.name}" for each in pkgutil.iter_modules(cts_cli.__path__)),
        "encodings.idna",
        "httpcore",
        "tests.e2e.described_services",
    ]
)


def run(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, seconds: float
) -> CompletedProcess[str]:
    """Runs `cts` with exactly this environment. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in STANDARD}
        files["stdin"].touch()
        process = CONTEXT.Process(target=_run, args=(arguments, dict(env), cwd, files))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutExpired(["cts", *arguments], seconds)
        output, errors = (files[name].read_text() for name in STANDARD[1:])
        return CompletedProcess([*arguments], process.exitcode, output, errors)


def _run(
    arguments: Sequence[str], env: Mapping[str, str], cwd: Path, files: Mapping[str, Path]
) -> None:
    for number, name in enumerate(STANDARD):
        descriptor = os.open(files[name], os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["cts", *arguments]
    from cts_cli.main import app

    app()
