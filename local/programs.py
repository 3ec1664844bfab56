"""The stack's own programs: each serves, writes where to a file in the stack's folder, and runs
Terraform."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local import leash, tools
from local.provider import parent
from local.provider.mirror import cli_configuration
from local.waiting import wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

START_SECONDS = 60


def start(
    folder: Path, name: str, module: str, env: Mapping[str, str], devices: Path
) -> subprocess.Popen[bytes]:
    """`devices`: what Terraform changes through the test provider."""
    (folder / f"{name}.json").unlink(missing_ok=True)
    own = tools.environment(folder)
    Path(own["TF_CLI_CONFIG_FILE"]).write_text(cli_configuration())
    build_env = {
        **own,
        **tools.TERRAFORM_ENVIRONMENT,
        "PATH": os.pathsep.join([str(tools.BIN), _plain_path()]),
        "FILES_ROOT": str(devices),
        **parent.environment(),
    }
    return leash.start(
        [sys.executable, "-m", module, str(folder)],
        env={**own, **env, "CTS_LOCAL_BUILD": json.dumps(build_env)},
        cwd=tools.PROJECT,
        log=folder / f"{name}.log",
    )


def endpoint(process: subprocess.Popen[bytes], folder: Path, name: str) -> str:
    """Waits until the program serves."""
    log = folder / f"{name}.log"

    def found() -> str:
        if process.poll() is not None:
            raise RuntimeError(f"The {name} exited at once; see {log}")
        return endpoint_in(folder / f"{name}.json")

    return wait_until(found, START_SECONDS, f"the {name}; see {log}")


def endpoint_in(ready: Path) -> str:
    """Empty until the program has written the file."""
    try:
        return str(json.loads(ready.read_text())["endpoint"])
    except (FileNotFoundError, ValueError):
        return ""


def _plain_path() -> str:
    """PATH without this virtual environment, so that builds get a plain Python, as in CodeBuild."""
    python = Path(str(getattr(sys, "_base_executable", sys.executable))).parent
    return os.pathsep.join([str(python), "/usr/local/bin", "/usr/bin", "/bin"])
