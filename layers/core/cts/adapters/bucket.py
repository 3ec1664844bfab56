"""The work bucket: bundles, generations, definitions, modules, snapshots, runs."""

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import BadZipFile

from botocore.exceptions import ClientError

from cts import keys
from cts.adapters.aws_errors import code_of, translated
from cts.errors import Altered, Missing, Unavailable, Unreadable
from cts.generation import Current, Generation
from cts.terraform.archive import content_digest, unzipped
from cts.terraform.definition import Definition
from cts.watch import happened
from cts.watch.happened import Fed
from cts.watch.snapshot import Snapshot, digest_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef, ObjectIdentifierTypeDef

ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"})
"""S3 returns the last of these if the newest version is a delete marker."""
LARGEST_RECORD = 1_000_000
"""Maximum bytes to read of a build's object: a module may have written anything there."""
AT_ONCE = 10
"""Number of objects to put or read at once: the size of botocore's connection pool."""
MOST_DEFINITIONS, MOST_MODULES = 500, 1
"""How many are kept in memory. A module may have as many bytes as a bundle."""


Content = TypeVar("Content")
T = TypeVar("T")
Made = TypeVar("Made", Definition, Generation)


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    body: bytes
    version: str


class Bucket:
    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name
        self._generation: tuple[str, Generation] | None = None
        self._shown: tuple[str, list[dict[str, Any]]] = "", []
        self._definition = lru_cache(MOST_DEFINITIONS)(self._read_definition)
        self._module = lru_cache(MOST_MODULES)(self._read_module)

    # ---- configuration ----------------------------------------------------------------------

    def bundle(self, size: int, version: str = "") -> StoredObject | None:
        """The last pushed bundle, or a version of it, up to that many bytes."""
        return self._get(keys.BUNDLE, size, version)

    def generation(self, current: Current) -> Generation:
        """The live generation, cached for the next call."""
        if self._generation is None or self._generation[0] != current.digest:
            key = keys.generation(current.number, current.digest)
            made = self._made(Generation, key, current.digest)
            self._generation = current.digest, made
        return self._generation[1]

    def put_generation(self, generation: Generation) -> str:
        body = generation.to_json().encode()
        digest = digest_of(body)
        self._put(keys.generation(generation.number, digest), body)
        return digest

    def put_shown(self, tasks: list[dict[str, Any]]) -> str:
        body = json.dumps(tasks).encode()
        digest = digest_of(body)
        self._put(keys.tasks_shown(digest), body)
        return digest

    def shown(self, digest: str) -> list[dict[str, Any]]:
        """The Task objects of a generation, cached for the next call."""
        if self._shown[0] != digest:
            key = keys.tasks_shown(digest)
            body = self._must_get(key)
            checked(body, key, digest_of(body), digest)
            self._shown = digest, json.loads(body)
        return self._shown[1]

    def definition(self, digest: str) -> Definition:
        """Those that were used last are in memory."""
        return self._definition(digest)

    def _read_definition(self, digest: str) -> Definition:
        return self._made(Definition, keys.definition(digest), digest)

    def module(self, digest: str) -> Mapping[str, bytes]:
        """The files of a local module. Those that were used last are in memory."""
        return self._module(digest)

    def _read_module(self, digest: str) -> dict[str, bytes]:
        key = keys.module(digest)
        try:
            files = unzipped(self._must_get(key))
        except (BadZipFile, zlib.error) as error:
            raise Altered(key, f"it is not a readable zip ({error})") from error
        return checked(files, key, content_digest(files), digest)

    def put_compiled(
        self, definitions: Collection[Definition], modules: Mapping[str, bytes]
    ) -> None:
        self._put_all(
            {keys.module(digest): archive for digest, archive in modules.items()}
            | {keys.definition(each.digest): each.to_json().encode() for each in definitions}
        )

    # ---- snapshots --------------------------------------------------------------------------

    def put_all(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Always writes, because an existing object may be about to expire."""
        self._put_all(
            {keys.snapshot(view, each.digest): each.body for view, each in snapshots.items()}
        )

    def get(self, view: str, digest: str) -> Snapshot | None:
        stored = self._get(keys.snapshot(view, digest))
        if stored is None:
            return None
        return Snapshot(checked(stored.body, stored.key, digest_of(stored.body), digest), digest)

    def get_all(self, digests: Mapping[str, str]) -> dict[str, Snapshot]:
        """Those that are there, by view; read in parallel."""
        found = self._at_once(self.get, digests.keys(), digests.values())
        return {view: each for view, each in zip(digests, found, strict=True) if each}

    def supersede(self, view: str, digest: str) -> None:
        with translated("tagging a replaced snapshot"):
            try:
                self._client.put_object_tagging(
                    Bucket=self.name,
                    Key=keys.snapshot(view, digest),
                    Tagging={"TagSet": [{"Key": "superseded", "Value": "true"}]},
                )
            except ClientError as error:
                if code_of(error) not in ABSENT:
                    raise

    # ---- runs -------------------------------------------------------------------------------

    def fed(self, task: str) -> dict[str, Fed]:
        stored = self._get(keys.fed(task))
        return happened.read(stored.body) if stored else {}

    def put_fed(self, task: str, fed: Mapping[str, Fed]) -> None:
        self._put(keys.fed(task), happened.written(fed))

    def put_archive(self, task: str, run: str, archive: bytes) -> None:
        """As a record of the run: its build gets a copy (`put_build_object`)."""
        self._put(keys.run_object(task, run, "archive.zip"), archive)

    def archive(self, task: str, run: str) -> bytes | None:
        found = self._get(keys.run_object(task, run, "archive.zip"))
        return found.body if found else None

    def put_build_object(self, folder: str, name: str, body: bytes) -> None:
        """What only the build finds that knows the name of the folder."""
        with translated(f"writing {name} of a build", hidden=folder):
            self._client.put_object(
                Bucket=self.name, Key=keys.build_object(folder, name), Body=body
            )

    def delete_build_objects(self, folder: str, names: Collection[str]) -> None:
        """Those that are there."""
        doing = "deleting the credentials of a build"
        objects: list[ObjectIdentifierTypeDef] = [
            {"Key": keys.build_object(folder, name)} for name in names
        ]
        with translated(doing, hidden=folder):
            answer = self._client.delete_objects(
                Bucket=self.name, Delete={"Objects": objects, "Quiet": True}
            )
        if problems := answer.get("Errors"):
            raise Unavailable(f"{doing}: {problems[0].get('Code')}")

    def run_object(self, task: str, run: str, name: str) -> bytes | None:
        """A build's record; empty if larger than `LARGEST_RECORD`, as it is not usable then."""
        key = keys.run_object(task, run, name)
        found = self._open(key)
        if found is None:
            return None
        with translated(f"reading {key}"), closing(found["Body"]) as body:
            return body.read() if found["ContentLength"] <= LARGEST_RECORD else b""

    def put_run_object(self, task: str, run: str, name: str, body: bytes) -> None:
        """In place of what is there."""
        self._put(keys.run_object(task, run, name), body)

    def uploaded(self, task: str) -> bytes | None:
        """What the driver of HCP Terraform has noted of its last upload for the task."""
        found = self._get(keys.uploaded(task))
        return found.body if found else None

    def put_uploaded(self, task: str, body: bytes) -> None:
        self._put(keys.uploaded(task), body)

    def log_end(self, task: str, run: str, size: int) -> tuple[bytes, int] | None:
        """Up to `size` bytes from the end of a run's log, and the number of bytes left out."""
        key = keys.run_object(task, run, "log")
        with translated(f"reading {key}"):
            try:
                found = self._client.get_object(Bucket=self.name, Key=key, Range=f"bytes=-{size}")
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                if code_of(error) == "InvalidRange":  # S3's response for an empty object
                    return b"", 0
                raise
            end = found["Body"].read()
            whole = found.get("ContentRange", f"/{len(end)}").rpartition("/")[2]
            return end, int(whole) - len(end)

    def put_if_absent(self, task: str, run: str, name: str, body: bytes) -> bool:
        """False if the object already exists."""
        key = keys.run_object(task, run, name)
        with translated(f"writing {key}"):
            try:
                self._client.put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) == "PreconditionFailed":
                    return False
                raise
        return True

    # ---- calls ------------------------------------------------------------------------------

    def _get(self, key: str, size: int | None = None, version: str = "") -> StoredObject | None:
        """`size`: how many bytes of it to read at most."""
        found = self._open(key, version)
        if found is None:
            return None
        with translated(f"reading {key}"), closing(found["Body"]) as body:
            return StoredObject(key, body.read(size), found.get("VersionId", ""))

    def _open(self, key: str, version: str = "") -> "GetObjectOutputTypeDef | None":
        """S3's response, with its body still to be read; None if the object does not exist."""
        which: Any = {"VersionId": version} if version else {}
        with translated(f"reading {key}"):
            try:
                return self._client.get_object(Bucket=self.name, Key=key, **which)
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                raise

    def _made(self, kind: type[Made], key: str, digest: str) -> Made:
        body = self._must_get(key)
        try:
            return kind.from_json(checked(body, key, digest_of(body), digest))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"reading {key}: not a valid {kind.__name__}: {error}") from error

    def _must_get(self, key: str) -> bytes:
        stored = self._get(key)
        if stored is None:
            raise Missing(key)
        return stored.body

    def _put_all(self, bodies: Mapping[str, bytes]) -> None:
        """Put objects in parallel. All of them are stored when this returns."""
        if bodies:
            self._at_once(self._put, bodies.keys(), bodies.values())

    def _at_once(self, call: Callable[..., T], *arguments: Iterable[str | bytes]) -> list[T]:
        """Make a call for each of the arguments, in parallel; returns the answers in their order.
        If one fails, raises its error and starts no more."""
        _ = self._client.meta  # a client that is built on first use must not be built in a thread
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(call, *arguments))

    def _put(self, key: str, body: bytes) -> None:
        with translated(f"writing {key}"):
            self._client.put_object(Bucket=self.name, Key=key, Body=body)


def checked(content: Content, key: str, found: str, expected: str) -> Content:
    """The content of an object that is named by its digest. Raises Altered."""
    if found != expected:
        raise Altered(key, f"its content has the digest {found} and not {expected}")
    return content
