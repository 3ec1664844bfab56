"""One invocation: a run's archive is executed by the program that it brings."""

import hashlib
import json
import secrets
import time
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from cts import keys
from cts.build.credentials import read_credentials
from cts.build.engine import ENGINES
from cts.build.errors import RunError
from cts.build.init import STAMP
from cts.build.s3 import S3
from cts.build.session import FILE as SESSION
from cts.executor.disk import Disk, wiped
from cts.executor.processes import executed
from cts.executor.program import Program

ARCHIVE = "archive.zip"
KEPT = (".terraform", ".terraform.lock.hcl", "terraform.d")
"""What `init` makes; and below, where the engine is."""
BACKEND = ".terraform/terraform.tfstate"
"""What `init` notes of the backend. It only stays where the next `init` is left out: an inspection
may have had another backend, which `init` would refuse to change, and the options of a user's own
may be secret."""
PROGRAMS = ".programs"
RESERVE = 10.0
"""Seconds of the time limit that are for what comes after the program."""


class Asked(NamedTuple):
    """What the function is invoked with (`adapters/executor.py`)."""

    task: str
    run: str
    folder: str
    """In `builds/`."""
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    bucket: str
    region: str
    disk: Disk
    program: Program


def execute(sandbox: Sandbox, asked: Asked, request: str, seconds: float) -> int | None:
    """Execute a run within these seconds: the exit code of its program, which has recorded how
    the run ended, unless the code is negative. None if the run has ended, so that there is nothing
    to do. `request`: the invocation's id, which Lambda may deliver twice: each time is a build.

    However it ends, a record says so once nothing of it runs. Raises RunError, and OSError.
    """
    ends_at = time.monotonic() + seconds - RESERVE
    s3 = S3(sandbox.region, attempts=3)
    try:
        stored = s3.get(sandbox.bucket, keys.build_object(asked.folder, ARCHIVE))
    except RunError as error:
        if "AccessDenied" in str(error):  # a role that may not list names is not told what is gone
            return None
        raise
    if stored is None:
        return None
    build = f"{keys.warm_build(request)}-{secrets.token_hex(4)}"
    with zipfile.ZipFile(BytesIO(stored.body)) as archive:
        of_run = read_credentials(json.loads(archive.read(SESSION)))
        facts = json.loads(archive.read("run.json"))
        try:
            return _run(sandbox, archive, facts, build, ends_at)
        finally:
            try:
                sandbox.disk.clean()
            finally:
                ended = keys.run_object(asked.task, asked.run, keys.ended(build))
                S3(sandbox.region, attempts=3, find=lambda: of_run).put(sandbox.bucket, ended, b"")
            sandbox.program.renew()


def _run(
    sandbox: Sandbox,
    archive: zipfile.ZipFile,
    facts: Mapping[str, Any],
    build: str,
    ends_at: float,
) -> int:
    name = hashlib.sha256(f"{facts['task']} {facts['definition']}".encode()).hexdigest()[:32]
    folder = sandbox.disk.open(name)
    program = sandbox.program
    is_there = program.is_in(archive)
    unpack(archive, folder, program.files if is_there else ())
    path = f"{folder / PROGRAMS}:{program.environment['PATH']}"
    own = {"HOME": str(folder), "PATH": path, "TMPDIR": str(folder)}
    seconds = ends_at - time.monotonic()
    arguments = ["--build", build, "--minutes", str(seconds / 60)]
    start = program.start if is_there else program.start_unpacked
    code = executed(start(folder, own, arguments), seconds)
    if code == 0:
        keep_engine(folder, facts)
        if not (folder / STAMP).exists():
            wiped(folder / BACKEND)
        sandbox.disk.close(name, (*KEPT, PROGRAMS))
    return code


def unpack(archive: zipfile.ZipFile, folder: Path, without: Collection[str]) -> None:
    """With the files' permissions."""
    for info in archive.infolist():
        if info.filename not in without:
            Path(archive.extract(info, folder)).chmod(info.external_attr >> 16 & 0o777)


def keep_engine(folder: Path, facts: Mapping[str, Any]) -> None:
    """Where the task's next run finds it on its PATH, if this one has unpacked it."""
    program = ENGINES[facts["engine"]].program
    found, kept = folder / ".build" / program, folder / PROGRAMS
    if found.exists():
        wiped(kept)
        kept.mkdir()
        found.rename(kept / f"{program}-{facts['terraform_version']}")
