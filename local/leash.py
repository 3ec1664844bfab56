"""Runs a command that must not outlive the process that started it.

`python -m local.leash COMMAND ...` passes on SIGTERM, stops the command when its own parent has
exited, and ends all descendants that the command left behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 5.0
POLL_SECONDS = 1.0


def start(
    command: list[str], *, env: dict[str, str], cwd: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Starts a command leashed to this process. Its output goes to the file `log`."""
    leashed = [sys.executable, "-I", str(Path(__file__).resolve()), *command]
    with log.open("ab") as output:
        return subprocess.Popen(
            leashed,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a leashed command and everything it started. Returns when all have exited."""
    process.terminate()
    try:
        process.wait(timeout=2 * GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(command: list[str]) -> int:
    parent = os.getppid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    awaited = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    # This process has only one thread, so code may run between fork and exec.
    child = subprocess.Popen(command, preexec_fn=_before_command)  # noqa: PLW1509
    while os.getppid() == parent:
        received = signal.sigtimedwait(awaited, POLL_SECONDS)
        if received and received.si_signo != signal.SIGCHLD:
            break
        if _reap(child):
            break
    return _end(child)


def _before_command() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reap(child: subprocess.Popen[bytes]) -> bool:
    """Reaps all ended processes, orphans included. Returns whether the command is among them."""
    while child.returncode is None:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode is not None


def _end(child: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + GRACE_SECONDS
    if not _reap(child):
        child.terminate()
    while not _reap(child):
        if time.monotonic() > deadline:
            child.kill()
        time.sleep(0.02)
    # End the command's descendants, one generation at a time.
    while orphans := _children(os.getpid()):
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return int(child.returncode)


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
