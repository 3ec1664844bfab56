"""`python -m local up` runs a stack until Ctrl-C; `python -m local down` stops it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from local.deploy import DeploymentFailed
from local.page import served
from local.stack import Stack
from local.tools import BIN, PROJECT, MissingTool
from local.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = PROJECT / ".local" / "stack"
PID = PROJECT / ".local" / "stack.pid"
ENV = PROJECT / ".local" / "env"
"""A file for other shells to source. It exists only while a stack is up."""
STOP_SECONDS = 30

UP = """
The stack is up. In another terminal, in this folder:

1. Set up the environment for cts, aws and consul:

   source {file}

2. Register a service in Consul, or change it by using another port:

   curl -sS -X PUT {consul}/v1/catalog/register -d '{{"Node": "n1", "Address": "10.0.0.1",
     "Service": {{"ID": "web-1", "Service": "web", "Port": 80}}}}'; echo

3. Push a configuration and see what happens:

   echo s3cr3t | cts secret set FIREWALL_TOKEN
   cts push local/demo/config
   cts status
   cts logs firewall

Dashboard: {page}
Consul UI: {consul}/ui   Function logs: {logs}
What the tasks have made, a file for each object: {devices}
Press Ctrl-C here, or run `make down`, to stop the stack.
"""
SHOWN = (
    "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",
    "AWS_DEFAULT_REGION", "CTS_STACK",
)  # fmt: skip


def up() -> int:
    if running := _running():
        sys.stderr.write(f"A stack is already up (process {running}); stop it with `make down`.\n")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    PID.parent.mkdir(parents=True, exist_ok=True)
    PID.write_text(str(os.getpid()))
    sys.stdout.write("Starting Consul and the AWS emulator, deploying template.yaml ...\n")
    try:
        with Stack.start(FOLDER) as stack, env_file(stack), served(stack) as page:
            sys.stdout.write(_explanation(stack, page))
            sys.stdout.flush()
            stop.wait()
            sys.stdout.write("Stopping ...\n")
    except (MissingTool, DeploymentFailed, TimeoutError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    finally:
        PID.unlink(missing_ok=True)
    return 0


def down() -> int:
    running = _running()
    if not running:
        ENV.unlink(missing_ok=True)
        sys.stdout.write("No stack is up.\n")
        return 0
    os.kill(running, signal.SIGTERM)
    wait_until(lambda: not _running(), STOP_SECONDS, "the stack to stop")
    return 0


@contextmanager
def env_file(stack: Stack) -> Iterator[None]:
    """Write the file with which other shells can use the stack, and remove it at the end."""
    ENV.write_text(exports(stack))
    try:
        yield
    finally:
        ENV.unlink(missing_ok=True)


def exports(stack: Stack) -> str:
    """Lines for a shell. The project's programs come first on the PATH."""
    found = {name: stack.env[name] for name in SHOWN} | {"CONSUL_HTTP_ADDR": stack.consul}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in found.items()]
    folders = ":".join(shlex.quote(str(each)) for each in (Path(sys.executable).parent, BIN))
    # A profile would take precedence over the keys.
    lines += ["unset AWS_PROFILE AWS_SESSION_TOKEN", f"export PATH={folders}:$PATH"]
    return "".join(f"{line}\n" for line in lines)


def _explanation(stack: Stack, page: str) -> str:
    return UP.format(
        file=ENV.relative_to(PROJECT),
        page=page,
        consul=stack.consul,
        logs=stack.folder / "logs",
        devices=stack.devices,
    )


def _running() -> int:
    """The process ID of `up`, or 0."""
    try:
        pid = int(PID.read_text())
        if b"local" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    except (OSError, ValueError):
        pass
    return 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["up"]:
            return up()
        case ["down"]:
            return down()
    sys.stderr.write("usage: python -m local up|down\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
