"""Starts the processes of Python sandboxes, which share the imports of what their layers hold.

One process for each set of layers imports it, and is forked for each sandbox: importing is most of
the cost of a cold start. This file is also the program of that process, and so uses only Python's
own modules.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEVNULL", "PIPE", "STDOUT", "Popen"]  # replaces the module `subprocess`

LAYERS = "_LAMBDA_LAYERS_DIRS"
SHARED = ("aws_lambda_powertools", "boto3", "cts")
"""Only layers with one of these are shared."""
IMPORTED = (
    "aws_lambda_powertools.event_handler", "aws_lambda_powertools.metrics", "boto3", "cts.settings",
    "httpcore",
)  # fmt: skip
WHOLE = ("cts.adapters", "cts.wiring", "cts.workflow")
"""All modules of these packages are imported, too."""
CLIENTS = ("codebuild", "dynamodb", "events", "lambda", "s3")
MOST = 1 << 20
"""Bytes of a request for a sandbox."""


def Popen(command: list[str], **options: Any) -> Any:  # noqa: N802
    """Starts a sandbox, as `subprocess.Popen` would."""
    if _shared(options["env"]):
        return Sandbox(command, options["cwd"], options["env"])
    return subprocess.Popen(command, **options)


class Sandbox:
    """A forked process, as `subprocess.Popen` has it. Its exit code is 0, however it ended."""

    def __init__(self, command: list[str], cwd: str, env: dict[str, str]) -> None:
        python, script = command
        (its_input, stdin), (stdout, its_output), (stderr, its_errors) = (
            os.pipe() for _ in range(3)
        )
        its_own = [its_input, its_output, its_errors]
        asked = {"script": script, "cwd": cwd, "env": env}
        self.pid = _parent(python, _shared(env)).fork(asked, its_own)
        for file in its_own:
            os.close(file)
        self.stdin = os.fdopen(stdin, "w", buffering=1)
        self.stdout = os.fdopen(stdout)
        self.stderr = os.fdopen(stderr)
        # Its parent lets it stay a zombie, so no other process gets its ID.
        self._process = os.pidfd_open(self.pid)
        self._ended = select.poll()
        self._ended.register(self._process)

    def __del__(self) -> None:
        os.close(self._process)

    def poll(self) -> int | None:
        return 0 if self._ended.poll(0) else None

    def wait(self, timeout: float) -> int:
        if not self._ended.poll(timeout * 1000):
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return 0

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Parent:
    """The process that is forked. It ends with this one."""

    def __init__(self, python: str, layers: tuple[str, ...]) -> None:
        self.requests, its_own = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_own:
            number = its_own.fileno()
            # Without the packages that are installed on this machine, which AWS does not have.
            self.process = subprocess.Popen(
                [python, "-S", __file__, str(number), *layers], stdin=DEVNULL, pass_fds=[number]
            )
        self._lock = threading.Lock()

    def fork(self, asked: dict[str, Any], files: list[int]) -> int:
        """`files`: what will be its standard files. Returns the ID of the new process."""
        with self._lock:
            socket.send_fds(self.requests, [json.dumps(asked).encode()], files)
            return int(self.requests.recv(MOST))


parents: dict[tuple[str, ...], Parent] = {}
_lock = threading.Lock()


def _parent(python: str, layers: tuple[str, ...]) -> Parent:
    with _lock:
        if layers not in parents:
            parents[layers] = Parent(python, layers)
        return parents[layers]


def _shared(env: dict[str, str]) -> tuple[str, ...]:
    """The folders of packages in a sandbox's layers that are worth sharing."""
    folders = [Path(each).resolve() / "python" for each in env.get(LAYERS, "").split(os.pathsep)]
    return tuple(str(each) for each in folders if any((each / name).exists() for name in SHARED))


def main(number: int, layers: list[str]) -> None:
    """Forks for each request. Only a fork returns, as the sandbox that it then is."""
    own = sys.path[1:]
    sys.path = [*layers, *own]
    _import()
    sys.path = own
    gc.freeze()  # else collecting garbage would copy what is shared
    with socket.socket(fileno=number) as requests:
        while True:
            asked, files, _, _ = socket.recv_fds(requests, MOST, 3)
            if not asked:
                return
            pid = os.fork()
            if pid == 0:
                break
            requests.send(str(pid).encode())
            for file in files:
                os.close(file)
    _become(files, **json.loads(asked))


def _import() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    for name in WHOLE:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    make_clients(CLIENTS)


def make_clients(services: Iterable[str]) -> None:
    """Keeps what making clients of these services reads, for this process and its forks. A client
    imports what it needs, and reads descriptions of AWS, when it is made."""
    loaders = importlib.import_module("botocore.loaders")
    read = functools.cache(loaders.JSONFileLoader().load_file)
    loaders.JSONFileLoader.load_file = lambda _, file: read(file)
    session = importlib.import_module("boto3").Session("none", "none", region_name="us-east-1")
    for service in services:
        session.client(service)


def _become(files: list[int], script: str, cwd: str, env: dict[str, str]) -> None:
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
