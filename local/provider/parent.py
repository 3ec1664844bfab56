"""The process that is forked for each start of the test provider, or of another one in Python.

A provider needs a fifth of a second to import its packages, and Terraform starts it several times
for each run.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf import runner

from local.provider import files
from local.tools import PROJECT, TOOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf.iface import Provider

VARIABLE = "FILES_PARENT"
"""Tells `program.py` where the parent is."""
IMPORTED = (
    "cryptography.hazmat.primitives.asymmetric.rsa", "cryptography.x509", "grpc",
    "tf.gen.grpc_controller_pb2_grpc", "tf.gen.grpc_stdio_pb2_grpc", "tf.gen.tfplugin_pb2_grpc",
    "tf.provider",
)  # fmt: skip
CERTIFICATE = TOOLS / "provider-certificate.json"


class Patient(runner._ShutdownInterceptor):  # noqa: SLF001
    """Told to stop, finishes what it is doing, as providers should. `tf` drops it, and Terraform
    would not learn the ID of an object that was just made."""

    def intercept_service(self, continuation: Any, call: Any) -> Any:
        if call.method.endswith("/StopProvider"):
            return continuation(call)
        return super().intercept_service(continuation, call)


@functools.cache
def environment(module: str = __spec__.name) -> dict[str, str]:
    """What Terraform needs to start the provider. Its parent ends with this process. `module`:
    what the parent runs; it calls `serve`."""
    name = f"files-{uuid.uuid4().hex}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{name}")
    listener.listen(socket.SOMAXCONN)
    with listener:
        _parents.append(
            subprocess.Popen(
                [sys.executable, "-m", module, str(listener.fileno())],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        )
    return {VARIABLE: name}


_parents: list[subprocess.Popen[bytes]] = []


def serve(listener: socket.socket, provider_of: Callable[[Path], Provider]) -> None:
    """Forks for each program that connects, until standard input ends. `provider_of`: the provider
    that a program stands for, by the program's file."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # else collecting garbage would copy what is shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        program, _ = listener.accept()
        with program:
            if os.fork() == 0:
                listener.close()
                try:
                    _provide(program, provider_of)
                finally:
                    os._exit(0)


def _provide(program: socket.socket, provider_of: Callable[[Path], Provider]) -> None:
    """Serves Terraform until it, or the program that it started, ends."""
    process = _process(program)
    _become(process)
    threading.Thread(target=_end_with, args=[program], daemon=True).start()
    sys.stdout = program.makefile("w")
    runner._ShutdownInterceptor = Patient  # noqa: SLF001
    runner._get_cert_cache_path = lambda: CERTIFICATE  # noqa: SLF001
    # A socket's path may have 107 characters, and that of a build's folder is longer.
    folder = os.open(tempfile.gettempdir(), os.O_DIRECTORY)
    tempfile.tempdir = f"/proc/{os.getpid()}/fd/{folder}"
    runner.run_provider(provider_of(_script(process)))


def _process(program: socket.socket) -> Path:
    credentials = program.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return Path(f"/proc/{struct.unpack('3i', credentials)[0]}")


def _become(process: Path) -> None:
    """Takes over the environment and folder of the program."""
    variables = os.fsdecode((process / "environ").read_bytes()).rstrip("\0").split("\0")
    os.environ.clear()
    os.environ.update(dict(each.split("=", 1) for each in variables))
    os.chdir((process / "cwd").readlink())


def _script(process: Path) -> Path:
    """The file that Python runs in this process."""
    return Path((process / "cmdline").read_text().rstrip("\0").split("\0")[-1])


def _end_with(program: socket.socket) -> None:
    program.recv(1)
    os._exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), files.provider)
