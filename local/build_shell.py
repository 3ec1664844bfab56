"""The shell of one build: runs and follows the buildspec's phases, with a time limit."""

from __future__ import annotations

import base64
import contextlib
import os
import selectors
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local import buildspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.build import Build

GRACE_SECONDS = 2.0


ENDINGS = {
    "STOPPED": ("", ""),
    "TIMED_OUT": ("BUILD_TIMED_OUT", "Build timed out."),
    "FAULT": ("INTERNAL_SERVICE_ERROR", "The build's container was lost."),
    "FAILED": ("COMMAND_EXECUTION_ERROR", "The build's container was lost."),
}


def run_phases(
    build: Build,
    spec: buildspec.Buildspec,
    environment: dict[str, str],
    source: Path,
    say: Callable[[str], None],
    deadline: float,
) -> str:
    """Runs all phases in `source` and returns the build's status.

    `say` is called with each line of output; `deadline` is in terms of the monotonic clock.
    """
    reports, channel = os.pipe()
    process = _start(buildspec.script(spec, channel), environment, source, channel)
    os.close(channel)
    build.shell = process.pid
    assert process.stdout is not None
    outputs = {reports: lambda line: _report(build, line), process.stdout.fileno(): say}
    try:
        status = _follow(outputs, lambda: _interruption(build, deadline))
        if not status:
            process.wait()
            status = _interruption(build, deadline)
    finally:
        _end_session(process)
        process.stdout.close()
        os.close(reports)
    if status:
        code, message = ENDINGS[status]
        build.end(status, message, code)
        return status
    return _outcome(build, process.returncode)


def _start(
    script: str, environment: dict[str, str], source: Path, channel: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", "-c", script],
        cwd=source,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[channel],
        start_new_session=True,
    )


def _outcome(build: Build, code: int) -> str:
    if code == 0:
        return "SUCCEEDED"
    # Only a shell that died has left its phase open.
    build.end("FAILED", f"The shell exited with status {code}.", "COMMAND_EXECUTION_ERROR")
    return "FAILED"


def _interruption(build: Build, deadline: float) -> str:
    if build.killed_as:
        return build.killed_as
    if build.stop.is_set():
        return "STOPPED"
    return "TIMED_OUT" if time.monotonic() > deadline else ""


def _follow(outputs: dict[int, Callable[[str], None]], interrupted: Callable[[], str]) -> str:
    """Passes on lines until all outputs end, or there is a reason to stop, which it returns."""
    rests = dict.fromkeys(outputs, b"")
    with selectors.DefaultSelector() as selector:
        for fd in outputs:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            if reason := interrupted():
                return reason
            for ready, _ in selector.select(timeout=0.1):
                data = os.read(ready.fd, 65536)
                *lines, rests[ready.fd] = (rests[ready.fd] + data).split(b"\n")
                for line in lines + ([] if data or not rests[ready.fd] else [rests[ready.fd]]):
                    outputs[ready.fd](line.decode(errors="replace"))
                if not data:
                    selector.unregister(ready.fd)
    return ""


def _report(build: Build, line: str) -> None:
    match line.split(" ", 3):
        case ["start", phase]:
            build.begin(phase)
        case ["failed", phase, code, command]:
            build.end(
                "FAILED",
                f"Error while executing command: {command}. Reason: exit status {code}",
                "COMMAND_EXECUTION_ERROR",
            )
        case ["end", phase, status]:
            build.end(status)
        case ["exported", name, value]:
            build.exported[name] = base64.b64decode(value).decode(errors="replace")


def kill_session(leader: int) -> bool:
    """Kills all processes of a build at once, like the end of a container. Returns whether there
    were any.

    Programs may start others in a new process group, so the session decides.
    """
    members = _session(leader)
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(members)


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """Terminates a build's commands, and kills those still running after a while."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while _session(process.pid) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.02)
    while kill_session(process.pid):
        process.poll()
        time.sleep(0.02)
    process.wait()


def _session(leader: int) -> list[int]:
    """The running processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, _group, session, *_ = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found
