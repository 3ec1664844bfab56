"""The work bucket: versions, snapshots, and the one conditional put."""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from cts import keys
from cts.adapters.bucket import LARGEST_RECORD, Bucket
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import ServicesCondition
from cts.errors import Altered, Missing, Refused, Unreadable
from cts.generation import Current, Generation, TaskEntry
from cts.terraform.archive import content_digest, zipped
from cts.terraform.definition import Definition, Module
from cts.watch.happened import Fed, Seen, Thing
from cts.watch.snapshot import digest_of, of
from tests.contract.conftest import Client
from tests.fakes import FakeBucket

AnyBucket = FakeBucket | Bucket

CONDITION = ServicesCondition(("web",))
GENERATION = Generation(3, 1, {"config/bundle.zip": "v"}, {"web": TaskEntry("d", CONDITION)})


def current(version: str, number: int = 3) -> Current:
    return Current(number, version, 1, {}, 0.0, [], [], [])


def test_an_empty_bucket_has_nothing(bucket: AnyBucket) -> None:
    assert bucket.bundle(9) is None
    assert bucket.get("view", "digest") is None
    assert bucket.run_object("web", "run", "started") is None
    assert bucket.archive("web", "run") is None


def test_of_a_bundle_no_more_is_read_than_was_asked_for(
    bucket: AnyBucket, request: pytest.FixtureRequest
) -> None:
    body = b"0123456789"
    if isinstance(bucket, FakeBucket):
        bucket.write(keys.BUNDLE, body)
    else:
        s3 = request.getfixturevalue("aws")("s3")
        s3.put_object(Bucket=bucket.name, Key=keys.BUNDLE, Body=body)
    for size, read in ((4, b"0123"), (10, b"0123456789"), (11, b"0123456789")):
        found = bucket.bundle(size)
        assert found
        assert found.body == read


def test_a_former_bundle_is_read_by_its_version(
    bucket: AnyBucket, request: pytest.FixtureRequest
) -> None:
    versions = []
    for body in (b"first", b"second"):
        if isinstance(bucket, FakeBucket):
            versions.append(bucket.write(keys.BUNDLE, body))
        else:
            s3 = request.getfixturevalue("aws")("s3")
            put = s3.put_object(Bucket=bucket.name, Key=keys.BUNDLE, Body=body)
            versions.append(put["VersionId"])
    for version, body in zip(versions, (b"first", b"second"), strict=True):
        found = bucket.bundle(9, version)
        assert found
        assert (found.body, found.version) == (body, version)


def test_task_objects_are_kept_by_digest(bucket: AnyBucket) -> None:
    first, second = [{"name": "a"}], [{"name": "a"}, {"name": "b"}]
    digests = [bucket.put_shown(each) for each in (first, second)]
    assert [bucket.shown(digest) for digest in digests] == [first, second]
    with pytest.raises(Missing):
        bucket.shown("none")


def test_a_generation_is_the_version_that_was_put(bucket: AnyBucket) -> None:
    """Two publishers may write one number: CURRENT names the version."""
    first = bucket.put_generation(GENERATION)
    second = bucket.put_generation(Generation(3, 1, {}, {}))
    assert first != second
    assert bucket.generation(current(first)) == GENERATION
    assert bucket.generation(current(second)).tasks == {}


def test_definitions_and_modules_are_kept_by_digest(bucket: AnyBucket) -> None:
    made = [Definition(f"web-{n}", Module("./m"), CONDITION, {"n": [n, None]}) for n in range(25)]
    files = {"main.tf": b"", "templates/a": b"a"}
    digest = content_digest(files)
    bucket.put_compiled(made, {digest: zipped(files)})
    bucket.put_compiled(made[:1], {})
    bucket.put_compiled([], {})
    assert [bucket.definition(each.digest) for each in made] == made
    assert bucket.module(digest) == files


def test_what_was_read_last_is_not_read_again(aws: Client, bucket: AnyBucket) -> None:
    if isinstance(bucket, FakeBucket):
        pytest.skip("it is its own memory")
    digest = content_digest({"main.tf": b""})
    bucket.put_compiled([DEFINITION], {digest: zipped({"main.tf": b""})})
    for gone in (False, True):
        assert bucket.definition(DEFINITION.digest) == DEFINITION
        assert bucket.module(digest) == {"main.tf": b""}
        if not gone:
            for key in (keys.definition(DEFINITION.digest), keys.module(digest)):
                aws("s3").delete_object(Bucket=bucket.name, Key=key)
    with pytest.raises(Missing):
        Bucket(aws("s3"), bucket.name).definition(DEFINITION.digest)


def test_of_several_objects_one_that_is_refused_is_told(aws: Client) -> None:
    gone = Bucket(aws("s3"), "no-such-bucket")
    made = [Definition(f"web-{n}", Module("./m"), CONDITION) for n in range(25)]
    with pytest.raises(Refused, match="NoSuchBucket"):
        gone.put_compiled(made, {})


def test_what_should_exist_and_does_not_is_missing(bucket: AnyBucket) -> None:
    with pytest.raises(Missing, match="definitions/nothing"):
        bucket.definition("nothing")
    with pytest.raises(Missing, match=r"modules/nothing\.zip"):
        bucket.module("nothing")
    with pytest.raises(Missing, match=r"generations/9-.*\.json"):
        bucket.generation(current("1", number=9))


def test_a_snapshot_is_kept_by_its_content(bucket: AnyBucket) -> None:
    made = of([{"name": "zażółć"}])
    bucket.put_all({"view": made})
    bucket.put_all({"view": made})
    assert bucket.get("view", made.digest) == made
    assert bucket.get("other", made.digest) is None


def test_many_snapshots_are_read_at_once_without_those_that_are_gone(bucket: AnyBucket) -> None:
    made = {f"view-{number}": of([{"number": number}]) for number in range(25)}
    bucket.put_all(made)
    digests = {view: each.digest for view, each in made.items()}
    assert bucket.get_all(digests | {"gone": made["view-0"].digest}) == made
    assert bucket.get_all({}) == {}


def test_what_runs_are_fed_with_is_replaced(bucket: AnyBucket) -> None:
    fed = Fed("d", {"view": Seen("1", {"n/web-1": Thing("2", "passing")})})
    assert bucket.fed("web") == {}
    bucket.put_fed("web", {"run-1": fed})
    bucket.put_fed("web", {"run-1": fed, "run-2": Fed("d", {})})
    assert bucket.fed("web") == {"run-1": fed, "run-2": Fed("d", {})}
    assert bucket.fed("db") == {}


def alter(bucket: AnyBucket, key: str, body: bytes) -> None:
    """What somebody with more rights than our functions can do."""
    if isinstance(bucket, FakeBucket):
        bucket.write(key, body)
    else:
        bucket._client.put_object(Bucket=bucket.name, Key=key, Body=body)


SNAPSHOT = of([1])
DEFINITION = Definition("web", Module("./m"), CONDITION)
MODULE = content_digest({"main.tf": b""})
GENERATED = digest_of(GENERATION.to_json().encode())
EVIL = {"main.tf": b'output "evil" {}'}
Read = Callable[[AnyBucket], object]


@pytest.mark.parametrize(
    ("key", "body", "read"),
    [
        (f"views/view/{SNAPSHOT.digest}", b"[2]", lambda b: b.get("view", SNAPSHOT.digest)),
        (f"views/view/{SNAPSHOT.digest}", b"[1] ", lambda b: b.get("view", SNAPSHOT.digest)),
        (
            f"definitions/{DEFINITION.digest}",
            replace(DEFINITION, task="db").to_json().encode(),
            lambda b: b.definition(DEFINITION.digest),
        ),
        (f"definitions/{DEFINITION.digest}", b"", lambda b: b.definition(DEFINITION.digest)),
        (f"modules/{MODULE}.zip", zipped(EVIL), lambda b: b.module(MODULE)),
        (f"modules/{MODULE}.zip", b"no zip", lambda b: b.module(MODULE)),
        (
            f"generations/3-{GENERATED}.json",
            replace(GENERATION, tasks={}).to_json().encode(),
            lambda b: b.generation(current(GENERATED)),
        ),
    ],
)
def test_what_is_named_by_its_digest_and_was_altered_is_not_read(
    bucket: AnyBucket, key: str, body: bytes, read: Read
) -> None:
    bucket.put_all({"view": SNAPSHOT})
    bucket.put_compiled([DEFINITION], {MODULE: zipped({"main.tf": b""})})
    bucket.put_generation(GENERATION)
    alter(bucket, key, body)
    with pytest.raises(Altered) as error:
        read(bucket)
    assert str(error.value).startswith(f"reading {key}: ")
    if body != b"no zip":
        assert re.search(r"has the digest [0-9a-f]{32} and not [0-9a-f]{32}, so", str(error.value))


def test_a_module_that_was_packed_by_another_version_of_zlib_is_the_same(
    bucket: AnyBucket,
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("main.tf", b"")
    bucket.put_compiled([], {MODULE: packed.getvalue()})
    assert bucket.module(MODULE) == {"main.tf": b""}


def test_marking_a_snapshot_that_is_gone_is_no_error(bucket: AnyBucket) -> None:
    bucket.supersede("view", "digest")
    made = of([1])
    bucket.put_all({"view": made})
    bucket.supersede("view", made.digest)
    assert bucket.get("view", made.digest) == made


def test_the_archive_of_a_run_is_read_whole(bucket: AnyBucket) -> None:
    large = b" " * (LARGEST_RECORD + 1)
    for archive in (b"one", large):
        bucket.put_archive("web", "run", archive)
        assert bucket.archive("web", "run") == archive


def test_what_a_build_starts_with_is_deleted_whether_or_not_it_is_there(bucket: AnyBucket) -> None:
    bucket.put_build_object("f1", "archive.zip", b"one")
    bucket.put_build_object("f2", "archive.zip", b"two")
    bucket.delete_build_objects("f1", ["archive.zip", "session.json"])
    bucket.delete_build_objects("f1", ["archive.zip", "session.json"])
    assert stored(bucket, "builds/f1/archive.zip") is None
    assert stored(bucket, "builds/f2/archive.zip") == b"two"


def stored(bucket: AnyBucket, key: str) -> bytes | None:
    found = bucket._get(key)
    return found.body if found else None


def test_only_the_first_puts_what_must_be_absent(bucket: AnyBucket) -> None:
    assert bucket.put_if_absent("web", "run", "started", b"first")
    assert not bucket.put_if_absent("web", "run", "started", b"second")
    assert bucket.run_object("web", "run", "started") == b"first"
    assert bucket.put_if_absent("web", "other", "started", b"other")


def test_the_mark_is_a_tag_that_a_new_put_takes_away(bucket: AnyBucket) -> None:
    made = of([1])
    bucket.put_all({"view": made})
    bucket.supersede("view", made.digest)
    assert marked(bucket, made.digest)
    bucket.put_all({"view": made})
    assert not marked(bucket, made.digest)


def marked(bucket: AnyBucket, digest: str) -> bool:
    key = f"views/view/{digest}"
    if isinstance(bucket, FakeBucket):
        return key in bucket.superseded
    tags = bucket._client.get_object_tagging(Bucket=bucket.name, Key=key)["TagSet"]
    return tags == [{"Key": "superseded", "Value": "true"}]


def test_a_record_that_is_too_large_says_nothing(bucket: AnyBucket) -> None:
    assert bucket.put_if_absent("web", "run", "result.json", b" " * LARGEST_RECORD)
    assert len(bucket.run_object("web", "run", "result.json") or b"") == LARGEST_RECORD
    assert bucket.put_if_absent("web", "run", "applying", b" " * (LARGEST_RECORD + 1))
    assert bucket.run_object("web", "run", "applying") == b""


def test_of_a_long_log_the_end_is_read(bucket: AnyBucket) -> None:
    assert bucket.log_end("web", "run", 10) is None
    for run, log in {
        "short": b"12345",
        "exact": b"1234567890",
        "long": b"x" * 90 + b"1234567890",
    }.items():
        assert bucket.put_if_absent("web", run, "log", log)
        assert bucket.log_end("web", run, 10) == (log[-10:], max(0, len(log) - 10))


def test_an_empty_log_is_read(bucket: AnyBucket) -> None:
    assert bucket.put_if_absent("web", "run", "log", b"")
    assert bucket.log_end("web", "run", 10) == (b"", 0)


def test_a_definition_that_only_a_newer_version_reads_is_unreadable(bucket: AnyBucket) -> None:
    newer = Definition("web", Module("./m"), MoonCondition("full"))
    bucket.put_compiled([newer], {})
    with pytest.raises(Unreadable, match="does not know the condition 'moon'"):
        bucket.definition(newer.digest)


@dataclass(frozen=True)
class MoonCondition(ScheduleCondition):
    kind: ClassVar[str] = "moon"
