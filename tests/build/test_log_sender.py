"""The log of a run goes to the work bucket while it grows, and no more often."""

import time

import pytest

from cts.build import s3 as build_s3
from cts.build.log import Log
from cts.build.log_sender import LogSender
from tests.build.conftest import TASK, Place, until
from tests.build.s3 import S3
from tests.build.test_execute_faults import SLOW

KEY = "runs/web/run-1/log"


@pytest.fixture
def client(s3: S3, monkeypatch: pytest.MonkeyPatch) -> build_s3.S3:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return build_s3.S3("eu-west-1", attempts=1, ends_at=time.monotonic() + 60)


def test_a_log_that_did_not_grow_is_not_put_again(s3: S3, client: build_s3.S3) -> None:
    log = Log()
    sender = LogSender(log, "work", KEY, client, client)
    log.note("first")
    for _ in range(3):
        sender.put_last()
    assert len(s3.versions[f"work/{KEY}"]) == 1
    log.note("second")
    sender.put_last()
    assert s3.objects[f"work/{KEY}"] == log.body()


def test_a_put_that_was_refused_is_made_up_for_while_terraform_applies(place: Place) -> None:
    refused = iter([403])
    place.s3.fault = lambda method, path: (
        next(refused, None) if (method, path) == ("PUT", f"work/runs/{TASK}/run-1/log") else None
    )
    place.start(place.archive("run-1", SLOW))
    until(lambda: "so far" in place.log("run-1"), 20)
    assert place.record("run-1", "result.json") is None
