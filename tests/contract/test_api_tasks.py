"""What people have made of tasks through the API: each write is conditional on what was read."""

import pytest

from cts import keys
from cts.adapters.api_tasks import ApiTasks
from cts.adapters.bucket import Bucket
from cts.config.api_tasks import ApiTask
from cts.errors import Unreadable
from tests.contract.conftest import BOTH, Client
from tests.fake_api_tasks import FakeApiTasks

AnyApiTasks = FakeApiTasks | ApiTasks
EDGE = ApiTask("edge", {"name": "edge", "module": "acme/edge"}, by="arn:ann", at=1.0)
OTHER = ApiTask("other", fields={"enabled": False}, over={"enabled": True}, by="arn:bob")


@pytest.fixture(params=BOTH)
def tasks(request: pytest.FixtureRequest) -> AnyApiTasks:
    if request.param == "fake":
        return FakeApiTasks()
    return ApiTasks(request.getfixturevalue("aws")("s3"), request.getfixturevalue("work_bucket"))


def test_there_are_none_at_first(tasks: AnyApiTasks) -> None:
    assert tasks.all() == {}


def test_what_was_put_is_read(tasks: AnyApiTasks) -> None:
    assert tasks.put(EDGE, None)
    assert tasks.put(OTHER, None)
    assert {name: each.task for name, each in tasks.all().items()} == {
        "edge": EDGE,
        "other": OTHER,
    }


def test_who_was_slower_writes_nothing(tasks: AnyApiTasks) -> None:
    assert tasks.put(EDGE, None)
    assert not tasks.put(ApiTask("edge"), None)
    read = tasks.all()["edge"]
    second = ApiTask("edge", {"name": "edge", "module": "acme/second"})
    assert tasks.put(second, read)
    assert not tasks.put(EDGE, read)
    found = tasks.all()["edge"]
    assert (found.task, found.version != read.version) == (second, True)


def test_what_was_deleted_is_not_written_again(tasks: AnyApiTasks) -> None:
    tasks.put(EDGE, None)
    read = tasks.all()["edge"]
    assert tasks.delete("edge", read)
    assert tasks.delete("edge", read)
    assert tasks.all() == {}
    assert not tasks.put(ApiTask("edge"), read)
    assert tasks.put(EDGE, None)


def test_what_was_written_meanwhile_is_not_deleted(tasks: AnyApiTasks) -> None:
    tasks.put(EDGE, None)
    read = tasks.all()["edge"]
    second = ApiTask("edge", {"name": "edge", "module": "acme/second"})
    assert tasks.put(second, read)
    assert not tasks.delete("edge", read)
    assert tasks.all()["edge"].task == second


def test_the_same_content_is_the_same_version(tasks: AnyApiTasks) -> None:
    tasks.put(EDGE, None)
    read = tasks.all()["edge"]
    tasks.delete("edge", read)
    tasks.put(EDGE, None)
    assert tasks.all() == {"edge": read}


def test_what_did_not_change_keeps_its_version(tasks: AnyApiTasks) -> None:
    tasks.put(EDGE, None)
    tasks.put(OTHER, None)
    first = tasks.all()
    assert tasks.delete("other", first["other"])
    assert tasks.all() == {"edge": first["edge"]}


def test_an_object_that_somebody_else_wrote_is_told(aws: Client, work_bucket: str) -> None:
    s3, name = aws("s3"), work_bucket
    s3.put_object(Bucket=name, Key=keys.api_task("edge"), Body=b'{"task": 1}')
    with pytest.raises(Unreadable, match="config/tasks/edge: it is not what the API writes"):
        ApiTasks(s3, name).all()


def test_the_bundle_is_none_of_them(aws: Client, work_bucket: str) -> None:
    s3, name = aws("s3"), work_bucket
    s3.put_object(Bucket=name, Key=keys.BUNDLE, Body=b"zip")
    assert ApiTasks(s3, name).all() == {}
    assert Bucket(s3, name).bundle(9)
