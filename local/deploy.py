"""Builds and packages the template with the real SAM, once for this machine, and deploys it."""

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
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from local.tools import PROJECT, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

CACHE = PROJECT / ".local" / "build"
IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache"}
BUCKET = "sam-artifacts"
SAM = """
import yaml
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
from samcli.cli.main import cli
cli(prog_name="sam")
"""
"""Without libyaml, reading the template takes SAM longer than all else."""
KEPT = 4
DIGITS = 16
PACKAGED = "template.json"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
WAIT: Any = {"Delay": 0.1, "MaxAttempts": 6_000}
"""For the end of a deployment: ten minutes."""


class DeploymentFailed(Exception):
    """A build or a deployment failed. The message says why."""


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


def package(built: Path, s3: S3Client, env: dict[str, str]) -> str:
    """Puts a built template and its code into the bucket, from an earlier packaging if possible.
    Returns the template's address. Raises DeploymentFailed."""
    target = built.parents[1] / "packaged"
    with _lock(built.parents[1].name):
        if not target.exists():
            unfinished = target.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _package(built, unfinished, s3, env)
            unfinished.rename(target)
    for file in target.iterdir():
        s3.put_object(Bucket=BUCKET, Key=file.name, Body=file.read_bytes())
    return f"https://s3.us-east-1.amazonaws.com/{BUCKET}/{PACKAGED}"


def deploy(
    template: str, name: str, parameters: dict[str, str], cloudformation: CloudFormationClient
) -> None:
    """Deploys the packaged template at this address as the stack `name`; parameters that are not
    given stay as they are. Raises DeploymentFailed."""
    former = _parameters(cloudformation, name)
    deployment: Any = {
        "StackName": name,
        "TemplateURL": template,
        "Capabilities": CAPABILITIES,
        "Parameters": [
            *({"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()),
            *({"ParameterKey": k, "UsePreviousValue": True} for k in former - parameters.keys()),
        ],
    }
    try:
        if former:
            cloudformation.update_stack(**deployment)
            cloudformation.get_waiter("stack_update_complete").wait(
                StackName=name, WaiterConfig=WAIT
            )
        else:
            cloudformation.create_stack(**deployment)
            cloudformation.get_waiter("stack_create_complete").wait(
                StackName=name, WaiterConfig=WAIT
            )
    except (ClientError, WaiterError) as problem:
        failures = _failures(cloudformation, name)
        raise DeploymentFailed(f"The stack could not be deployed: {problem}{failures}") from None


def _parameters(cloudformation: CloudFormationClient, name: str) -> set[str]:
    """The names of a deployed stack's parameters; empty if there is no such stack."""
    try:
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return set()
    return {each["ParameterKey"] for each in stack["Parameters"]}


def _failures(cloudformation: CloudFormationClient, name: str) -> str:
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except ClientError:
        return ""
    return "".join(
        f"\n{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in event
    )


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


def _package(built: Path, target: Path, s3: S3Client, env: dict[str, str]) -> None:
    target.mkdir()
    command = ["package", "--template-file", str(built), "--s3-bucket", BUCKET, "--use-json"]
    command += ["--output-template-file", str(target / PACKAGED), "--no-progressbar"]
    _sam(command, env, target, target.parent / "sam")
    for stored in s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        s3.download_file(BUCKET, stored["Key"], str(target / stored["Key"]))


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
