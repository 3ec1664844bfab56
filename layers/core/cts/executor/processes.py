"""The program of a run as a child process, of which nothing stays."""

import ctypes
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
KEPT = ("LANG", "LD_LIBRARY_PATH", "PATH", "TZ")
"""What a run gets of this process's environment, and below: where AWS is."""
OF_AWS = ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_REGION")


def guarded() -> None:
    """Make this process the parent of what its children leave behind, and let no other process of
    its user read its memory or its environment, which has the function's credentials."""
    libc = ctypes.CDLL(None)
    for option, value in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_DUMPABLE, 0)):
        libc.prctl(option, value, 0, 0, 0)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """For the programs of runs: nothing of the function's own."""
    return {name: given[name] for name in (*KEPT, *OF_AWS) if name in given}


class Child(NamedTuple):
    process: Popen[bytes]
    before: frozenset[int]
    """The children of this process that were there before it."""


def begun(command: Sequence[str], **options: Any) -> Child:
    """`options`: of Popen."""
    before = children()
    return Child(Popen(command, start_new_session=True, **options), before)


def executed(child: Child, seconds: float) -> int:
    """The exit code of a program; that of SIGKILL if it did not end in time. When this returns,
    nothing that it has started is running."""
    process, before = child
    try:
        # Not wait(seconds), which looks only every 50 ms.
        waiter = threading.Thread(target=process.wait, daemon=True)
        waiter.start()
        waiter.join(seconds)
    finally:
        with process:
            process.kill()
        end(before)
    return process.returncode


def end(before: frozenset[int]) -> None:
    """End all children but those, one generation after the other."""
    while left := children() - before:
        for child in left:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def children() -> frozenset[int]:
    """Those of this process, which orphans become."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = stat.read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.add(int(stat.parent.name))
    return frozenset(found)
