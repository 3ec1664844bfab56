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
from collections.abc import Callable
from pathlib import Path

from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.openpgp import HASHICORP as KEY
from cts.build.openpgp import is_signed
from cts.build.s3 import S3

RELEASES = "https://releases.hashicorp.com/terraform"
LARGEST_ZIP = 200_000_000
LARGEST_SUMS = 1_000_000
"""Bytes. A module may have put much more into the cache, which would fill a build's memory."""


def find_terraform(version: str, s3: S3, bucket: str, folder: Path, log: Log) -> str:
    """From PATH, else the work bucket's cache, else the official release.

    A module may have put anything into the cache. So whatever it comes from, it is executed only
    with the checksum that HashiCorp has signed.
    """
    if on_path := shutil.which("terraform"):
        return on_path
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packed = Release(version, s3, bucket, log).archive(f"{platform.system().lower()}_{machine}")
    binary = folder / "terraform"
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        binary.write_bytes(archive.read("terraform"))
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


class Release:
    """The files of a release of Terraform: from the cache if they are right there, else from
    HashiCorp, and then put into the cache."""

    def __init__(self, version: str, s3: S3, bucket: str, log: Log) -> None:
        self.version, self.s3, self.bucket, self.log = version, s3, bucket, log
        self.cache = f"tools/terraform/{version}"

    def archive(self, system: str) -> bytes:
        """The zip for a system such as linux_arm64."""
        name = f"terraform_{self.version}_{system}.zip"
        expected = self.checksums().get(name)
        if expected is None:
            text = f"Terraform {self.version} has no release for {system}"
            raise RunError(text, retryable=False, because="there is nothing to download")
        [packed] = self.files(
            [name],
            LARGEST_ZIP,
            lambda found: hashlib.sha256(found).hexdigest() == expected,
            "does not have the checksum that HashiCorp has signed",
        )
        return packed

    def checksums(self) -> dict[str, str]:
        """SHA-256 by file name."""
        sums = f"terraform_{self.version}_SHA256SUMS"
        # The names in it say of which release it is: an older one is signed, too.
        mark = f"  terraform_{self.version}_".encode()
        text, _ = self.files(
            [sums, f"{sums}.72D7468F.sig"],
            LARGEST_SUMS,
            lambda found, signature: is_signed(found, signature, KEY) and mark in found,
            "is not signed by HashiCorp's key 72D7468F as this version of the program knows it",
        )
        return {name: digest for digest, name in map(str.split, text.decode().splitlines())}

    def files(
        self, names: list[str], most: int, right: Callable[..., bool], wrong: str
    ) -> list[bytes]:
        """The contents of these files, if they are right. `wrong` says what they are otherwise, or
        if one in the cache has more than `most` bytes."""
        place = f"s3://{self.bucket}/{self.cache}"
        cached = [self.s3.get(self.bucket, f"{self.cache}/{name}", most) for name in names]
        stored = [each.body for each in cached if each]
        if len(stored) == len(names):
            if right(*stored):
                self.log.note(f"{names[0]} from {place}")
                return stored
            text = f"{place}/{names[0]} {wrong}, so it is not used. Delete {place}/: the next run"
            self.log.note(f"{text} stores the release again.")
        address = f"{RELEASES}/{self.version}"
        fetched = [_fetch(f"{address}/{name}") for name in names]
        if not right(*fetched):
            raise RunError(f"{address}/{names[0]} {wrong}")
        self.log.note(f"{names[0]} from {address}")
        for name, body in zip(names, fetched, strict=True):
            self.s3.put_if_absent(self.bucket, f"{self.cache}/{name}", body)
        return fetched


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()
        text = f"fetching {url}: HTTP {error.code}"
        if error.code == 404:
            raise RunError(text, retryable=False, because="there is no such release") from error
        raise RunError(text) from error
    except (OSError, http.client.HTTPException) as error:
        raise RunError(f"fetching {url}: {error}") from error
