"""What `init` fetched, kept for the task's next runs. It lies under `cache/<task>/` of the work
bucket, and no other task can write there:

* `<definition>-<system>.zip`   the lock file and the modules of a definition, and the names of its
                                providers: its next runs use the same versions
* `providers/.../<system>.zip`  a package of a provider, used if it has a hash of the lock file

A module can put anything there. It can do no more with that than with its own code.

`init` takes a provider from `terraform.d/plugins`, if it is there, and then asks no registry. Where
the image configures `provider_installation`, it does ask one, but downloads nothing that is
installed already.
"""

import base64
import hashlib
import io
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cts.build.engine import system
from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.log import Log
from cts.build.s3 import S3

DATA = ".terraform"
"""Where `init` puts most of what it makes."""
LOCK_FILE, MODULES = ".terraform.lock.hcl", ".terraform/modules"
PROVIDERS, MIRROR = ".terraform/providers", "terraform.d/plugins"
NAMES = ".terraform/providers.json"
SYSTEMS = {"linux_amd64", "linux_arm64"}
PACKAGE = re.compile(r"[^/]+(?:/[^/]+){4}")
"""Host, namespace, type, version, system."""
LARGEST_MODULES, LARGEST_PACKAGE = 50_000_000, 250_000_000
"""Bytes of a zip, which a build has in memory. What is larger is fetched again by each run."""
LARGEST_PROVIDER = 1_500_000_000
"""Bytes, before they are packed."""


class Cache:
    """`folder` is that of the root module, `own` that of the build's own files."""

    def __init__(self, s3: S3, facts: Facts, folder: Path, own: Path, log: Log) -> None:
        self.s3, self.bucket, self.log = s3, facts.work_bucket, log
        self.folder, self.own = folder, own
        self.place = f"cache/{facts.task}"
        self.stem = f"{self.place}/{facts.definition}"
        self.key = f"{self.stem}-{system()}.zip"
        self.restored: list[str] = []
        """The names of the providers that need no download."""
        self._kept: dict[str, int] = {}
        """The checksums of the restored files."""
        self.is_complete = False
        """Whether `init` has fetched everything."""
        self.was_there = False
        """Whether the folder is that of the definition's last run."""

    def restore(self) -> None:
        """What the definition's last run has kept. Nothing depends on it."""
        if (self.folder / DATA).exists():
            self.was_there, self._kept = True, self._checksums()
            return
        kept = self._unpack(self.key, LARGEST_MODULES, self.folder)
        if kept is None:
            self._restore_versions()
            return
        self._kept = kept
        names = package_names(self.folder / NAMES)
        self.restored = [each for each in names if self._unpack_package(each)]
        self.log.note(
            f"lock file, modules and {len(self.restored)} of {len(names)} providers from "
            f"s3://{self.bucket}/{self.key}"
        )

    def _restore_versions(self) -> None:
        """The lock file of the other lane, whose machines may be of another kind: the state goes
        from one to the other, and an older provider can't read what a newer one has written."""
        for other in SYSTEMS - {system()}:
            key = f"{self.stem}-{other}.zip"
            with suppress(RunError, ValueError, KeyError, OSError, zipfile.BadZipFile, zlib.error):
                stored = self.s3.get(self.bucket, key, LARGEST_MODULES)
                with zipfile.ZipFile(io.BytesIO(stored.body if stored else b"")) as archive:
                    text = archive.read(LOCK_FILE).decode()
                if is_for_all_systems(text):
                    (self.folder / LOCK_FILE).write_text(text)
                    self.log.note(f"versions of providers from s3://{self.bucket}/{key}")

    def _unpack_package(self, name: str) -> bool:
        """Whether it is there, with a hash that the lock file has."""
        folder, lock = self.folder / MIRROR / name, self.folder / LOCK_FILE
        if self._unpack(self._package(name), LARGEST_PACKAGE, folder) is None:
            return False
        if not lock.exists() or f'"{hash_of(folder)}"' not in lock.read_text():
            shutil.rmtree(folder, ignore_errors=True)
            where = f"s3://{self.bucket}/{self._package(name)}"
            self.log.note(f"{where} is not used: the lock file has no such hash")
            return False
        link = self.folder / PROVIDERS / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder.absolute())
        return True

    def _unpack(self, key: str, most: int, folder: Path) -> dict[str, int] | None:
        """The checksums of the files in a zip that is unpacked now; None if it is not there. The
        zip of a definition may hold files of `init` only, so that it replaces no others."""
        try:
            stored = self.s3.get(self.bucket, key, most)
            if stored is None:
                return None
            with zipfile.ZipFile(io.BytesIO(stored.body)) as archive:
                if broken := archive.testzip():
                    raise ValueError(f"{broken} in it is damaged")
                for name in archive.namelist():
                    if key != self.key or is_from_init(name):
                        Path(archive.extract(name, folder)).chmod(0o755)
                return {each.filename: each.CRC for each in archive.infolist()}
        except (RunError, ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            self.log.note(f"s3://{self.bucket}/{key} is not used: {error}")
            if key != self.key:
                shutil.rmtree(folder, ignore_errors=True)
            return None

    def _package(self, name: str) -> str:
        return f"{self.place}/providers/{name}.zip"

    def store(self) -> None:
        """Keep what `init` fetched: packages first, so that the definition's object names only what
        is there. Nothing, if it has fetched nothing. Raises RunError."""
        if not self.is_complete:
            return
        try:
            fetched = [*packages(self.folder / PROVIDERS)]
            is_new = fetched and not self.was_there
            if not is_new and self._are_kept():
                return
            files = [*self._files()]
            names = [*self.restored, *filter(self._store_package, fetched)]
            packed = self._packed(self.folder, files, names)
        except (OSError, ValueError) as error:
            raise RunError(f"packing what init fetched: {error}") from error
        if packed.stat().st_size <= LARGEST_MODULES:
            self.s3.put(self.bucket, self.key, packed.read_bytes())

    def _files(self) -> Iterator[Path]:
        files = (self.folder / LOCK_FILE, *files_in(self.folder / MODULES))
        return (each for each in files if each.exists())

    def _checksums(self) -> dict[str, int]:
        return {
            each.relative_to(self.folder).as_posix(): zlib.crc32(each.read_bytes())
            for each in self._files()
        }

    def _are_kept(self) -> bool:
        return self._checksums() == {n: crc for n, crc in self._kept.items() if n != NAMES}

    def _store_package(self, name: str) -> bool:
        """Whether it is kept."""
        folder = self.folder / PROVIDERS / name
        files = [*files_in(folder)]
        size = sum(each.stat().st_size for each in files)
        if size <= LARGEST_PROVIDER:
            packed = self._packed(folder, files)
            if packed.stat().st_size <= LARGEST_PACKAGE:
                self.s3.put(self.bucket, self._package(name), packed.read_bytes())
                return True
        self.log.note(f"the provider {name} is too large to be kept: {size:,} bytes")
        return False

    def _packed(self, folder: Path, files: list[Path], names: list[str] | None = None) -> Path:
        target = self.own / "cache.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
            if names is not None:
                archive.writestr(NAMES, json.dumps(names, indent=1))
        return target


def packages(providers: Path) -> Iterator[str]:
    """The names of the installed packages. A link leads to a mirror on this machine: nothing was
    fetched."""
    for folder in sorted(providers.glob("*/*/*/*/*")):
        if folder.is_dir() and not folder.is_symlink():
            yield folder.relative_to(providers).as_posix()


def files_in(folder: Path) -> Iterator[Path]:
    """All, sorted. Raises ValueError at a link, which a zip can't hold safely."""
    for file in sorted(folder.rglob("*")):
        if file.is_symlink():
            raise ValueError(f"{file} is a link")
        if file.is_file():
            yield file


def hash_of(folder: Path) -> str:
    """As lock files have it. Raises ValueError at a link."""
    return hash_over(folder, files_in(folder))


def hash_over(folder: Path, files: Iterable[Path]) -> str:
    """`h1:` and a hash over the names and the hashes of these files, sorted, of a folder."""
    lines = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        lines.update(f"{digest}  {file.relative_to(folder).as_posix()}\n".encode())
    return f"h1:{base64.b64encode(lines.digest()).decode()}"


def is_for_all_systems(lock_file: str) -> bool:
    """Whether it has hashes of each provider for all systems, as registries give them."""
    return all("zh:" in block for block in lock_file.split('provider "')[1:])


def is_from_init(name: str) -> bool:
    return name in (LOCK_FILE, NAMES) or name.startswith(f"{MODULES}/")


def package_names(file: Path) -> list[str]:
    """Empty if the file can't be read."""
    try:
        found = json.loads(file.read_text())
        return [each for each in found if PACKAGE.fullmatch(each) and ".." not in each]
    except (OSError, ValueError, TypeError):
        return []
