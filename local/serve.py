"""One process that emulates AWS, with the front before it.

`python -m local.serve FOLDER` serves on a free port of the loopback interface and writes it to
FOLDER/front.json. All its data is in FOLDER. On SIGTERM it ends, with everything it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
import uvloop
import yaml

from local import tools
from local.front import REGION, Front

if TYPE_CHECKING:
    from types import FrameType

NOT_USED = ("awscrt", "cryptography", "docker", "duckdb", "jsonata", "OpenSSL")
"""Packages that the emulator does without. Importing them takes long; with cryptography it would
also make a key that nothing here uses; and nothing here may run in Docker, even if it is there."""
OF_TERRAFORM = (
    "FILES_PARENT", "FILES_ROOT", "TF_CLI_CONFIG_FILE", *tools.TERRAFORM_ENVIRONMENT
)  # fmt: skip
"""Variables of builds that Terraform needs in the executor, too."""


def main(folder: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listener.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    _prepare_environment(folder, endpoint, port)
    uvloop.run(_serve(folder, endpoint, listener))
    # Emulator threads waiting for a function would delay the exit.
    os._exit(0)


def _prepare_environment(folder: Path, endpoint: str, port: int) -> None:
    """Settings that the emulator reads on import; workers inherit them."""
    for name in ("tmp", "logs", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    os.environ.update(
        AUTH="true",
        AWS_ENDPOINT_URL=endpoint,
        AWS_EC2_METADATA_DISABLED="true",
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LAMBDA_ACCOUNT_CONCURRENCY="1000",
        LAMBDA_ASYNC_RETRY_BASE_SECONDS="0.2",
        LOG_LEVEL="WARNING",
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_REGION=REGION,
        S3_DATA_DIR=str(folder / "state" / "s3"),
        STATE_DIR=str(folder / "state"),
        TMPDIR=str(folder / "tmp"),
    )
    for name in NOT_USED:
        sys.modules[name] = None  # type: ignore[assignment]


def tell_ready(folder: Path, endpoint: str) -> None:
    """Written atomically: readers never see an incomplete file."""
    unfinished = folder / "front.json.new"
    unfinished.write_text(json.dumps({"endpoint": endpoint}))
    unfinished.replace(folder / "front.json")


def _with_terraform(folder: Path, environment: dict[str, str]) -> str:
    """The PATH of functions: the executor finds a Terraform that knows the test provider, by the
    name that it gives to one that it keeps."""
    binary = Path(shutil.which("terraform", path=environment["PATH"]) or "terraform")
    settings = (f"export {name}={shlex.quote(environment[name])}" for name in OF_TERRAFORM)
    folder.mkdir(exist_ok=True)
    script = folder / f"terraform-{tools.version_of(binary)}"
    script.write_text("\n".join(["#!/bin/sh", *settings, f'exec {binary} "$@"', ""]))
    script.chmod(0o755)
    return os.pathsep.join([str(folder), environment["PATH"]])


async def _serve(folder: Path, endpoint: str, listener: socket.socket) -> None:
    # The emulator parses whole templates, which takes seconds without libyaml.
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]
    from local import control, emulator, emulator_hooks
    from local.build_run import Place
    from local.codebuild import Builds

    build_environment = json.loads(os.environ.pop("CTS_LOCAL_BUILD"))
    os.environ["PATH"] = _with_terraform(folder / "bin", build_environment)
    builds = Builds(Place(folder / "builds", endpoint, REGION, build_environment))
    front = Front(builds, folder)
    emulator_hooks.install(front)
    config = uvicorn.Config(
        control.application(front),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever connects is the caller
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    # What ends the server is raised again after its end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell_ready(folder, endpoint)
    await Server(config).serve([listener])
    builds.kill_all()
    emulator.kill_workers()


class Server(uvicorn.Server):
    """Wakes up once a second, for the date of its answers; uvicorn's does ten times as often."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._signalled = asyncio.Event()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), 1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._signalled.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
