"""Releases of Terraform and OpenTofu."""

import hashlib
import http.client
import io
import stat
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cts.build.engine import Engine, system
from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.openpgp import HASHICORP, OPENTOFU, Key, is_signed
from cts.build.s3 import S3

LARGEST_ZIP = 200_000_000
LARGEST_SUMS = 1_000_000
"""Bytes. A module may have put much more into the cache, which would fill a build's memory."""


class Publisher(NamedTuple):
    """What releases a program, and where."""

    name: str
    releases: str
    """The address of a release, up to its version."""
    signature: str
    """What follows the name of the checksums in that of their signature."""
    key_name: str
    key: Key


PUBLISHERS = {
    "terraform": Publisher(
        "HashiCorp",
        "https://releases.hashicorp.com/terraform/",
        ".72D7468F.sig",
        "72D7468F",
        HASHICORP,
    ),
    # Its releases are also signed with cosign, which the standard library can't check.
    "tofu": Publisher(
        "OpenTofu",
        "https://github.com/opentofu/opentofu/releases/download/v",
        ".gpgsig",
        "E5FD9F80",
        OPENTOFU,
    ),
}


def unpacked(engine: Engine, version: str, s3: S3, bucket: str, folder: Path, log: Log) -> str:
    """The program, in `folder`: from the work bucket's cache, else the official release. Raises
    RunError.

    A module may have put anything into the cache. So whatever it comes from, it is executed only
    with the checksum that its publisher has signed.
    """
    packed = Release(engine, version, s3, bucket, log).archive(system())
    binary = folder / engine.program
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        binary.write_bytes(archive.read(engine.program))
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


class Release:
    """The files of a release: from the cache if they are right there, else from the publisher, and
    then put into the cache."""

    def __init__(self, engine: Engine, version: str, s3: S3, bucket: str, log: Log) -> None:
        self.engine, self.version = engine, version
        self.publisher = PUBLISHERS[engine.program]
        self.s3, self.bucket, self.log = s3, bucket, log
        self.cache = f"tools/{engine.program}/{version}"

    def archive(self, system: str) -> bytes:
        """The zip for a system such as linux_arm64."""
        name = f"{self.engine.program}_{self.version}_{system}.zip"
        expected = self.checksums().get(name)
        if expected is None:
            text = f"{self.engine.title} {self.version} has no release for {system}"
            raise RunError(text, retryable=False, because="there is nothing to download")
        [packed] = self.files(
            [name],
            LARGEST_ZIP,
            lambda found: hashlib.sha256(found).hexdigest() == expected,
            f"does not have the checksum that {self.publisher.name} has signed",
        )
        return packed

    def checksums(self) -> dict[str, str]:
        """SHA-256 by file name."""
        program, publisher = self.engine.program, self.publisher
        sums = f"{program}_{self.version}_SHA256SUMS"
        # The names in it say of which release it is: an older one is signed, too.
        mark = f"  {program}_{self.version}_".encode()
        text, _ = self.files(
            [sums, f"{sums}{publisher.signature}"],
            LARGEST_SUMS,
            lambda found, signature: is_signed(found, signature, publisher.key) and mark in found,
            f"is not signed by {publisher.name}'s key {publisher.key_name} as this version of the "
            "program knows it",
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
        address = f"{self.publisher.releases}{self.version}"
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
