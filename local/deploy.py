"""Builds the repository's template once for this machine, and deploys it with the real SAM."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local.tools import PROJECT, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = PROJECT / ".local" / "build"
IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache"}
BUCKET = "sam-artifacts"
SAM = """
import yaml
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
from samcli.cli.main import cli
cli(prog_name="sam")
"""
"""SAM reads a template seven times: without libyaml that is half of a deployment's CPU time."""
KEPT = 4
DIGITS = 16


class DeploymentFailed(Exception):
    """SAM failed. The message is its output."""


def build(template: Path = PROJECT / "template.yaml") -> Path:
    """Returns the built template, from an earlier build if possible. Raises DeploymentFailed."""
    name = digest(template)
    target = CACHE / name
    with _lock(name):
        if not target.exists():
            unfinished = CACHE / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _build(template, unfinished / "built")
            unfinished.rename(target)
            _forget_old()
    return target / "built" / "template.yaml"


def deploy(
    built: Path, name: str, parameters: dict[str, str], env: dict[str, str], work: Path
) -> None:
    """Deploys a built template as the stack `name`. Raises DeploymentFailed."""
    command = ["deploy", "--template-file", str(built), "--stack-name", name, "--s3-bucket", BUCKET]
    command += ["--s3-prefix", name, "--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
    command += ["--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset"]
    if parameters:
        command += ["--parameter-overrides", *(f"{k}={_quoted(v)}" for k, v in parameters.items())]
    _sam(command, {**env, "SAM_CLI_POLL_DELAY": "0.1"}, work, work / "sam")


def _build(template: Path, target: Path) -> None:
    major, minor = sys.version_info[:2]
    # Packages are fetched with the user's own settings.
    env = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "AWS_DEFAULT_REGION": "us-east-1",
        "UV_CACHE_DIR": str(TOOLS / "cache" / "uv"),
        "CTS_LAYER_PLATFORM": f"{platform.machine()}-manylinux_2_28",
        "CTS_LAYER_PYTHON": f"{major}.{minor}",
    }
    command = ["build", "--template-file", str(template), "--build-dir", str(target)]
    _sam([*command, "--parallel"], env, template.parent, target.parent / "sam")
    # Without bytecode the first sandbox of each new stack would compile its imports.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", target],
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        stdout=subprocess.DEVNULL,
        check=False,
    )


def _forget_old() -> None:
    """Keeps only the newest builds, which take about 60 MB each."""
    builds = [path for path in CACHE.iterdir() if len(path.name) == DIGITS]
    for old in sorted(builds, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _sam(command: list[str], env: dict[str, str], cwd: Path, settings: Path) -> None:
    settings.mkdir(parents=True, exist_ok=True)
    # SAM checks the package index for updates, unless it has just done so.
    (settings / "metadata.json").write_text(json.dumps({"lastVersionCheck": time.time()}))
    done = subprocess.run(
        [sys.executable, "-c", SAM, *command],
        env={**env, "SAM_CLI_TELEMETRY": "0", "__SAM_CLI_APP_DIR": str(settings)},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeploymentFailed(f"sam {command[0]} failed:\n{done.stdout}")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def digest(template: Path) -> str:
    """A name derived from a build's inputs: template, functions, layers, and this machine."""
    found = hashlib.sha256(f"{sys.version_info[:2]} {platform.machine()}".encode())
    folders = [template.parent / name for name in ("functions", "layers")]
    files = [f for folder in folders for f in folder.rglob("*") if not IGNORED & set(f.parts)]
    for file in [template, *sorted(f for f in files if f.is_file())]:
        found.update(f"{file.relative_to(template.parent)}\0".encode())
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:DIGITS]


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(CACHE / f"{name}.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
