"""Terraform from elsewhere than PATH: only what HashiCorp has signed is executed."""

import hashlib
import io
import platform
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from cts.build import release
from cts.build import s3 as build_s3
from cts.build.engine import ENGINES, OnPath, find_engine
from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.openpgp import (
    BINARY_RSA_SHA256,
    HASHICORP,
    OPENTOFU,
    Key,
    is_signed,
    padded,
)
from cts.build.release import PUBLISHERS
from tests.build.s3 import S3

VERSION = "1.99.0"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
ZIP = f"terraform_{VERSION}_linux_{MACHINE}.zip"
SUMS = f"terraform_{VERSION}_SHA256SUMS"
FILES = (SUMS, f"{SUMS}.72D7468F.sig", ZIP)
CACHE = f"work/tools/terraform/{VERSION}"
RELEASED = f"releases/{VERSION}"
KEY = Key(2**2048 - 1, 1)
"""With the exponent 1 a signature is what it says: a test needs no private key."""
REAL = Path(__file__).parent / "release"


def signature_of(document: bytes, kind: bytes = BINARY_RSA_SHA256) -> bytes:
    """What the key's owner would publish."""
    signed = kind + bytes(2)
    digest = hashlib.sha256(document + signed + b"\x04\xff" + struct.pack(">I", len(signed)))
    number = padded(digest.digest(), KEY)
    packet = signed + bytes(2) + digest.digest()[:2] + struct.pack(">H", len(number) * 8) + number
    return b"\xc2" + struct.pack(">H", len(packet) - 192 + 0xC000) + packet


def zipped(script: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("terraform", script)
    return packed.getvalue()


def sums_of(body: bytes, name: str = ZIP) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()


EVIL = zipped("#!/bin/sh\necho evil")


@dataclass
class Published:
    """A release whose Terraform is a script."""

    s3: S3
    client: build_s3.S3
    folder: Path
    log: Log

    def find(self, version: str = VERSION) -> str:
        on_path = OnPath(ENGINES["terraform"], version)
        return find_engine(on_path, self.client, "work", self.folder, self.log)

    def release(self, name: str, body: bytes) -> None:
        self.s3.objects[f"{RELEASED}/{name}"] = body

    def cache(self, name: str, body: bytes) -> None:
        self.s3.objects[f"{CACHE}/{name}"] = body

    def unplug(self) -> None:
        """Nothing but the bucket can be reached."""
        for name in FILES:
            self.s3.objects.pop(f"{RELEASED}/{name}", None)


@pytest.fixture
def published(
    s3: S3, client: build_s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Published:
    monkeypatch.setenv("PATH", "")
    publisher = PUBLISHERS["terraform"]._replace(releases=f"{s3.url}/releases/", key=KEY)
    monkeypatch.setitem(release.PUBLISHERS, "terraform", publisher)
    made = Published(s3, client, tmp_path, Log())
    body = zipped("#!/bin/sh\necho '{}'")
    sums = sums_of(body)
    for name, content in zip(FILES, (sums, signature_of(sums), body), strict=True):
        made.release(name, content)
    return made


def is_genuine(binary: str) -> bool:
    return Path(binary).read_text() == "#!/bin/sh\necho '{}'"


# ---- the cache ----------------------------------------------------------------------------


def test_terraform_is_fetched_once_then_comes_from_the_cache(published: Published) -> None:
    assert is_genuine(published.find())
    for name in FILES:
        stored = published.s3.objects[f"{CACHE}/{name}"]
        assert stored == published.s3.objects[f"{RELEASED}/{name}"]
    published.s3.seen.clear()
    binary = published.find()
    assert published.s3.seen == [f"GET {CACHE}/{name}" for name in FILES]
    assert binary == str(published.folder / "terraform")
    assert Path(binary).stat().st_mode & 0o111


def test_a_build_without_the_internet_needs_only_the_cache(published: Published) -> None:
    published.find()
    published.unplug()
    assert is_genuine(published.find())


OLDER = sums_of(EVIL, f"terraform_1.10.0_linux_{MACHINE}.zip")
ALTERED = {
    "a zip": {ZIP: EVIL},
    "nothing": {ZIP: b""},
    "no zip": {ZIP: b"no zip"},
    "an empty zip": {ZIP: b"PK\x05\x06" + bytes(18)},
    "its checksum, too": {ZIP: EVIL, SUMS: sums_of(EVIL)},
    "a signature, too": {ZIP: EVIL, SUMS: sums_of(EVIL), FILES[1]: signature_of(b"else")},
    "no signature": {FILES[1]: b""},
    "an older release": {ZIP: EVIL, SUMS: OLDER, FILES[1]: signature_of(OLDER)},
}
"""What a module may have put into the cache."""


@pytest.mark.parametrize("altered", ALTERED.values(), ids=ALTERED)
@pytest.mark.parametrize("runs_before", [0, 1])
def test_what_a_module_put_into_the_cache_is_not_executed(
    published: Published, altered: dict[str, bytes], runs_before: int
) -> None:
    for _ in range(runs_before):
        published.find()
    for name, body in altered.items():
        published.cache(name, body)
    assert is_genuine(published.find())


@pytest.mark.parametrize("altered", ALTERED.values(), ids=ALTERED)
def test_without_the_internet_what_a_module_put_into_the_cache_fails_the_run(
    published: Published, altered: dict[str, bytes]
) -> None:
    published.find()
    for name, body in altered.items():
        published.cache(name, body)
    published.unplug()
    with pytest.raises(RunError, match=r"fetching http.*HTTP 404"):
        published.find()


@pytest.mark.parametrize(("limit", "name"), [("LARGEST_ZIP", ZIP), ("LARGEST_SUMS", FILES[1])])
def test_what_is_far_too_long_in_the_cache_is_not_read(
    published: Published, monkeypatch: pytest.MonkeyPatch, limit: str, name: str
) -> None:
    published.find()
    published.s3.seen.clear()
    size = len(published.s3.objects[f"{CACHE}/{name}"])
    monkeypatch.setattr(release, limit, size)
    assert is_genuine(published.find())
    assert f"GET {RELEASED}/{name}" not in published.s3.seen
    monkeypatch.setattr(release, limit, size - 1)
    assert is_genuine(published.find())
    assert f"GET {RELEASED}/{name}" in published.s3.seen
    found = published.client.get("work", f"tools/terraform/{VERSION}/{name}", size - 1)
    assert found
    assert found.body == b""


def test_what_is_wrong_in_the_cache_is_named(published: Published) -> None:
    published.cache(ZIP, EVIL)
    published.find()
    said = published.log.body().decode()
    assert f"s3://{CACHE}/{ZIP} does not have the checksum that HashiCorp has signed" in said
    assert f"Delete s3://{CACHE}/: " in said


def test_an_upload_that_was_cut_short_is_completed(published: Published) -> None:
    published.find()
    del published.s3.objects[f"{CACHE}/{FILES[1]}"]
    published.find()
    assert all(f"{CACHE}/{name}" in published.s3.objects for name in FILES)


# ---- the release --------------------------------------------------------------------------


def test_a_release_with_another_checksum_is_refused(published: Published) -> None:
    published.release(ZIP, EVIL)
    with pytest.raises(RunError, match="does not have the checksum"):
        published.find()
    assert f"{CACHE}/{ZIP}" not in published.s3.objects


def test_checksums_that_hashicorp_has_not_signed_are_refused(published: Published) -> None:
    published.release(ZIP, EVIL)
    published.release(SUMS, sums_of(EVIL))
    with pytest.raises(RunError, match=f"{SUMS} is not signed by HashiCorp's key 72D7468F"):
        published.find()
    assert not any(name.startswith(CACHE) for name in published.s3.objects)


def test_a_version_that_was_never_released_is_not_tried_again(published: Published) -> None:
    with pytest.raises(RunError, match=r"SHA256SUMS: HTTP 404") as error:
        published.find("9.9.9")
    assert not error.value.retryable


def test_a_release_that_lacks_this_machine_is_not_tried_again(published: Published) -> None:
    sums = sums_of(EVIL, f"terraform_{VERSION}_plan9_amd64.zip")
    published.release(SUMS, sums)
    published.release(FILES[1], signature_of(sums))
    with pytest.raises(RunError, match=f"has no release for linux_{MACHINE}") as error:
        published.find()
    assert not error.value.retryable


# ---- signatures ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "made", "fingerprint"),
    [
        (HASHICORP, "60805c26", "374EC75B485913604A831CC7C820C6D5CD27AB87"),
        (OPENTOFU, "6554c88c", "E3E6E43D84CB852EADB0051D0C0AF313E5FD9F80"),
    ],
)
def test_a_key_has_the_fingerprint_that_its_owner_states(
    key: Key, made: str, fingerprint: str
) -> None:
    size = struct.pack(">H", key.modulus.bit_length())
    parts = (
        b"\x04",
        bytes.fromhex(made),
        b"\x01",
        size + key.modulus.to_bytes(512),
        struct.pack(">H", 17) + key.exponent.to_bytes(3),
    )
    body = b"".join(parts)
    found = hashlib.sha1(b"\x99" + struct.pack(">H", len(body)) + body, usedforsecurity=False)
    assert found.hexdigest() == fingerprint.lower()


@pytest.mark.parametrize(
    ("name", "key", "unsigned"),
    [
        ("terraform_1.9.8_SHA256SUMS.72D7468F.sig", HASHICORP, range(3 + 47, 3 + 51)),
        ("tofu_1.8.5_SHA256SUMS.gpgsig", OPENTOFU, range(3 + 35, 3 + 51)),
    ],
)
def test_a_real_release_is_signed_with_it(name: str, key: Key, unsigned: range) -> None:
    """`unsigned`: the issuer's ID where it is outside of what is signed, two octets of the digest
    and two of the number's length, as hints."""
    signature = (REAL / name).read_bytes()
    sums = (REAL / f"{name.partition('SUMS')[0]}SUMS").read_bytes()
    assert is_signed(sums, signature, key)
    assert not is_signed(sums + b"\n", signature, key)
    assert not is_signed(sums.replace(b"b", b"c", 1), signature, key)
    assert not is_signed(sums, signature, KEY)
    for place in range(len(signature)):
        other = bytearray(signature)
        other[place] ^= 1
        if is_signed(sums, bytes(other), key):
            assert place in unsigned, place


@pytest.mark.parametrize("kind", [b"\x03\x00\x01\x08", b"\x04\x01\x01\x08", b"\x04\x00\x01\x02"])
def test_a_signature_of_another_kind_is_none(kind: bytes) -> None:
    assert is_signed(b"text", signature_of(b"text"), KEY)
    assert not is_signed(b"text", signature_of(b"text", kind), KEY)


@pytest.mark.parametrize("size", [0, 1, 3, 8, 100])
def test_a_signature_that_was_cut_short_is_none(size: int) -> None:
    assert not is_signed(b"text", signature_of(b"text")[:size], KEY)
