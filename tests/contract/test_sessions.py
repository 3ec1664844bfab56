"""Sessions of runs: on the fakes, and with STS and S3 of the emulator."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.stub import ANY, Stubber

from cts.adapters.bucket import Bucket
from cts.adapters.sessions import Sessions
from cts.errors import Refused, Unavailable
from cts.run.model import Run
from cts.terraform.archive import unzipped, zipped
from tests.fakes import RUN, Clock, FakeBucket, FakeSts, failing, fake_sessions

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

ROLE = "arn:aws:iam::000000000000:role/task"
ARCHIVE = zipped({"main.tf": "x"})


@dataclass
class World:
    sessions: Sessions
    bucket: FakeBucket | Bucket
    now: datetime

    def stored(self, name: str, run: Run = RUN) -> bytes | None:
        found = self.bucket._get(f"builds/{run.folder}/{name}")
        return found.body if found else None

    def session(self, body: bytes | None) -> dict[str, str]:
        assert body is not None
        found: dict[str, str] = json.loads(body)
        return found


@pytest.fixture
def world(request: pytest.FixtureRequest, bucket: FakeBucket | Bucket) -> World:
    if isinstance(bucket, FakeBucket):
        clock = Clock()
        sessions = fake_sessions(FakeSts(clock), bucket)
        return World(sessions, bucket, datetime.fromtimestamp(clock.now, UTC))
    aws = request.getfixturevalue("aws")
    return World(Sessions(aws("sts"), ROLE, bucket), bucket, datetime.now(UTC))


def test_a_build_finds_credentials_for_an_hour_in_its_archive(world: World) -> None:
    world.sessions.open(RUN, ARCHIVE)
    files = unzipped(world.stored("archive.zip") or b"")
    assert files["main.tf"] == b"x"
    session = world.session(files["session.json"])
    assert session.keys() == {"folder", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert session["folder"] == RUN.folder
    left = datetime.fromisoformat(session["Expiration"]) - world.now
    assert timedelta(minutes=59) < left < timedelta(minutes=61)


def test_a_run_that_is_prepared_has_its_archive_as_a_record_too(world: World) -> None:
    world.sessions.prepare(RUN, ARCHIVE)
    assert world.bucket.archive(RUN.task, RUN.id) == ARCHIVE
    assert "session.json" in unzipped(world.stored("archive.zip") or b"")


def test_a_run_in_hcp_terraform_has_its_record_alone(world: World) -> None:
    of_hcp = replace(RUN, folder="")
    world.sessions.prepare(of_hcp, ARCHIVE)
    assert world.bucket.archive(RUN.task, RUN.id) == ARCHIVE
    assert world.stored("archive.zip", of_hcp) is None


def test_what_cannot_be_recorded_is_not_prepared() -> None:
    sessions = fake_sessions(FakeSts(Clock()), bucket := FakeBucket())
    down = Unavailable("S3 does not answer")
    with failing(bucket, "put_archive", down), pytest.raises(Unavailable):
        sessions.prepare(RUN, ARCHIVE)


def test_renewed_ones_lie_beside_it_and_are_others(world: World) -> None:
    world.sessions.open(RUN, ARCHIVE)
    found = []
    for _ in range(2):
        world.sessions.renew(RUN)
        found.append(world.session(world.stored("session.json")))
    first, second = found
    assert first["AccessKeyId"] != second["AccessKeyId"]
    assert first["folder"] == second["folder"] == RUN.folder


def test_all_of_it_is_deleted_once_or_twice(world: World) -> None:
    world.sessions.open(RUN, ARCHIVE)
    world.sessions.renew(RUN)
    world.sessions.close(RUN)
    world.sessions.close(RUN)
    assert (world.stored("archive.zip"), world.stored("session.json")) == (None, None)
    world.sessions.close(replace(RUN, folder=""))


# ---- what STS is asked ---------------------------------------------------------------------------


@pytest.fixture
def stub(aws: Any) -> Iterator[Stubber]:
    with Stubber(aws("sts")) as stub:
        yield stub


def assumed() -> dict[str, Any]:
    return FakeSts(lambda: 0.0).assume_role(Tags=[{"Key": "run", "Value": "x" * 20}])


@pytest.mark.parametrize("secrets", [(), ("connection-secret", "task-secret")])
def test_a_session_is_that_of_the_task_and_of_the_run(
    stub: Stubber, secrets: tuple[str, ...]
) -> None:
    tags = [{"Key": "task", "Value": "web"}, {"Key": "run", "Value": RUN.id}]
    tags += [{"Key": name, "Value": "yes"} for name in secrets]
    answer = assumed()
    answer["Credentials"]["AccessKeyId"] = "ASIA" + "1" * 16
    expected = {"RoleArn": ROLE, "RoleSessionName": "20260101T000000-abc123", "Tags": tags}
    stub.add_response("assume_role", answer, expected)
    run = replace(RUN, secrets=secrets)
    Sessions(cast("STSClient", stub.client), ROLE, FakeBucket()).renew(run)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("AccessDenied", 403, Refused), ("Throttling", 400, Unavailable), ("Oops", 500, Unavailable)],
)
def test_a_refusal_names_the_role_and_the_run(
    stub: Stubber, code: str, status: int, error: type[Exception]
) -> None:
    expected = {"RoleArn": ROLE, "RoleSessionName": ANY, "Tags": ANY}
    stub.add_client_error("assume_role", code, "no", status, expected_params=expected)
    with pytest.raises(error, match=f"assuming the role {ROLE} for run {RUN.id}: {code}"):
        Sessions(cast("STSClient", stub.client), ROLE, FakeBucket()).open(RUN, ARCHIVE)


def test_a_bucket_that_is_not_there_is_told_without_the_name_of_the_folder(aws: Any) -> None:
    bucket = Bucket(aws("s3"), "no-such-bucket")
    sts = FakeSts(lambda: 0.0)
    for call in ("renew", "close"):
        with pytest.raises((Refused, Unavailable), match="NoSuchBucket") as error:
            getattr(Sessions(sts, ROLE, bucket), call)(RUN)  # type: ignore[arg-type]
        assert RUN.folder not in str(error.value)
