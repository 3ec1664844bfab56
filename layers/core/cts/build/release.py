"""Where the program Terraform comes from."""

import hashlib
import http.client
import io
import platform
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.s3 import S3

RELEASES = "https://releases.hashicorp.com/terraform"


def find_terraform(version: str, s3: S3, bucket: str, folder: Path, log: Log) -> str:
    """From PATH, else the work bucket's cache, else the official release."""
    if on_path := shutil.which("terraform"):
        return on_path
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    system = f"{platform.system().lower()}_{machine}"
    key = f"tools/terraform/{version}/{system}.zip"
    if stored := s3.get(bucket, key):
        log.note(f"Terraform {version} from s3://{bucket}/{key}")
        packed = stored.body
    else:
        log.note(f"Terraform {version} from {RELEASES}")
        packed = download(version, system)
        s3.put_if_absent(bucket, key, packed)
    binary = folder / "terraform"
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            binary.write_bytes(archive.read("terraform"))
    except (zipfile.BadZipFile, KeyError) as error:
        text = f"s3://{bucket}/{key} is not a Terraform archive: {error}. Delete it; the next"
        raise RunError(f"{text} run downloads the release again.", retryable=False) from error
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


def download(version: str, system: str) -> bytes:
    """The official release's zip, if its checksum is the published one."""
    name = f"terraform_{version}_{system}.zip"
    sums = _fetch(f"{RELEASES}/{version}/terraform_{version}_SHA256SUMS").decode()
    expected = {file: digest for digest, file in (line.split() for line in sums.splitlines())}
    if name not in expected:
        raise RunError(f"Terraform {version} has no release for {system}", retryable=False)
    packed = _fetch(f"{RELEASES}/{version}/{name}")
    if hashlib.sha256(packed).hexdigest() != expected[name]:
        raise RunError(f"{name} does not have the checksum its publisher states")
    return packed


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()
        missing = error.code == 404
        raise RunError(f"fetching {url}: HTTP {error.code}", retryable=not missing) from error
    except (OSError, http.client.HTTPException) as error:
        raise RunError(f"fetching {url}: {error}") from error
