"""The credentials of a run, as its build uses and renews them, with real Terraform."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cts.build import s3 as build_s3
from cts.build import session
from cts.build.credentials import read_credentials
from cts.build.endpoint import Endpoint
from cts.build.errors import RunError
from cts.build.session import Session, opened
from cts.build.stop import Stop
from tests.build.conftest import FOLDER, Place, credentials, execution, until
from tests.build.s3 import S3
from tests.build.test_execute import ONE

HOUR = timedelta(hours=1)
RENEWED = f"work/builds/{FOLDER}/session.json"
BACKEND = (
    "use_lockfile",
    "use_path_style",
    "skip_credentials_validation",
    "skip_requesting_account_id",
)
CONTAINER = "AKID"
"""The key that the container has."""


def given(client: build_s3.S3, lasts: timedelta, key: str = "RUN") -> Session:
    return Session(json.loads(credentials(key, lasts)), "work", client)


def key_of(session: Session) -> str:
    return session.credentials().key_id


# ---- newer ones ----------------------------------------------------------------------------------


def test_credentials_that_last_are_not_asked_for_again(s3: S3, client: build_s3.S3) -> None:
    s3.objects[RENEWED] = credentials("NEWER", HOUR).encode()
    assert key_of(given(client, timedelta(minutes=40))) == "RUN"
    assert s3.seen == []


def test_newer_ones_are_read_with_the_containers_credentials(s3: S3, client: build_s3.S3) -> None:
    s3.objects[RENEWED] = credentials("NEWER", HOUR).encode()
    assert key_of(given(client, timedelta(minutes=30))) == "NEWER"
    assert s3.signers == [(CONTAINER, f"GET {RENEWED}")]


@pytest.mark.parametrize(
    "stored",
    [None, b"", b"[]", b"{}", b"no", credentials("OLDER", timedelta(minutes=20)).encode()],
    ids=["absent", "empty", "list", "object", "text", "older"],
)
def test_without_newer_ones_those_it_has_are_used(
    s3: S3, client: build_s3.S3, stored: bytes | None
) -> None:
    if stored is not None:
        s3.objects[RENEWED] = stored
    has = given(client, timedelta(minutes=30))
    assert [key_of(has), key_of(has)] == ["RUN", "RUN"]
    assert len(s3.seen) == 1, "it looks twice a minute at most"


@pytest.mark.parametrize("status", [403, 503])
def test_a_bucket_that_does_not_answer_does_no_harm_yet(
    s3: S3, client: build_s3.S3, status: int
) -> None:
    client.attempts = 1
    s3.fault = lambda *_: status
    assert key_of(given(client, timedelta(minutes=30))) == "RUN"


def test_expired_ones_are_an_error_that_may_pass(s3: S3, client: build_s3.S3) -> None:
    has = given(client, timedelta(seconds=-1))
    with pytest.raises(ConnectionError, match=r"valid until .*Z and were not renewed"):
        has.credentials()
    s3.objects[RENEWED] = credentials("NEWER", HOUR).encode()
    has._look_at = 0.0  # half a minute later
    assert key_of(has) == "NEWER"


def test_s3_says_why_when_they_have_expired(s3: S3, client: build_s3.S3) -> None:
    has = given(client, timedelta(seconds=-1))
    mine = build_s3.S3("eu-west-1", attempts=1, find=has.credentials)
    with pytest.raises(RunError, match="PUT s3://work/x: the run's credentials are valid until"):
        mine.put("work", "x", b"")


# ---- the end -------------------------------------------------------------------------------------


def test_a_build_whose_credentials_are_not_renewed_stops_while_they_are_valid(
    client: build_s3.S3,
) -> None:
    stop = Stop(60)
    given(client, timedelta(minutes=9.5)).watch(stop)
    until(lambda: stop.reason, 10)
    assert stop.reason.endswith("and were not renewed")
    with pytest.raises(RunError, match="the run's credentials are valid until"):
        stop.check()


def test_a_build_whose_credentials_are_renewed_goes_on(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOOK_SECONDS", 0.01)
    has, stop = given(client, timedelta(minutes=30)), Stop(60)
    has.watch(stop)
    s3.objects[RENEWED] = credentials("NEWER", HOUR).encode()
    until(lambda: has.known.key_id == "NEWER", 10)
    has.end()
    assert stop.reason == ""


# ---- the archive ---------------------------------------------------------------------------------


def test_the_file_is_gone_before_terraform_runs(tmp_path: Path, client: build_s3.S3) -> None:
    (tmp_path / "session.json").write_text(credentials("RUN", HOUR))
    assert key_of(opened(tmp_path, "work", client)) == "RUN"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"folder": 1}'])
def test_an_archive_without_credentials_is_told(
    tmp_path: Path, client: build_s3.S3, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "session.json").write_text(text)
    with pytest.raises(RunError, match=r"reading the run's credentials, .*session.json"):
        opened(tmp_path, "work", client)


# ---- the endpoint --------------------------------------------------------------------------------


def asked(environment: dict[str, str], token: str | None = None) -> Any:
    address = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    sent = environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] if token is None else token
    request = urllib.request.Request(address, headers={"Authorization": sent})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_what_terraform_starts_gets_the_runs_credentials_and_no_others(
    client: build_s3.S3,
) -> None:
    has = given(client, HOUR)
    container = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_SESSION_TOKEN": "c",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/d",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "e",
    }
    with Endpoint(has, has) as endpoint:
        environment = endpoint.environment(container | {"PATH": "/bin"})
        assert environment.keys() == {
            "PATH",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        }
        assert asked(environment) == has.known.as_answer()
        endpoint.shutdown()


@pytest.mark.parametrize(
    ("lasts", "token", "status"), [(HOUR, "wrong", 403), (timedelta(seconds=-1), None, 503)]
)
def test_others_and_those_who_come_too_late_get_none(
    client: build_s3.S3, lasts: timedelta, token: str | None, status: int
) -> None:
    source = given(client, lasts)
    with Endpoint(source, source) as endpoint:
        with pytest.raises(urllib.error.HTTPError) as error:
            asked(endpoint.environment({}), token)
        with error.value:
            assert error.value.code == status
            body = error.value.read()
        assert b"secret" not in body
        endpoint.shutdown()


# ---- a build -------------------------------------------------------------------------------------

WAITS = """
resource "terraform_data" "slow" {
  depends_on = [terraform_data.one]
  provisioner "local-exec" { command = "touch running; while [ ! -e go ]; do sleep 0.1; done" }
}
"""


@pytest.mark.slow
def test_all_that_a_build_does_is_done_with_its_runs_credentials(place: Place) -> None:
    assert place.build(place.archive("run-1", ONE)) == 0
    assert {key for key, _ in place.s3.signers} == {"RUN"}


@pytest.mark.slow
def test_renewed_ones_are_used_from_the_first_request_on(place: Place) -> None:
    """As by a build that had to wait in a queue."""
    archive = place.archive("run-1", ONE)
    place.lasts(archive, timedelta(seconds=-1))
    place.s3.objects[RENEWED] = credentials("NEWER", HOUR).encode()
    assert place.build(archive) == 0
    signers = {key for key, path in place.s3.signers if path != f"GET {RENEWED}"}
    assert signers == {"NEWER"}


@pytest.mark.slow
def test_terraform_pushes_its_state_with_credentials_that_came_while_it_was_at_work(
    place: Place, client: build_s3.S3
) -> None:
    """Its S3 backend asks the endpoint again once they are valid for less than five minutes."""
    archive, has = place.archive("run-1", ONE + WAITS), given(client, timedelta(minutes=4))
    has._look_at = float("inf")
    options = [f"-backend-config={each}=true" for each in BACKEND]
    with Endpoint(has, has) as endpoint:
        environment = endpoint.environment(place.environment)

        def terraform(*arguments: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(["terraform", *arguments], cwd=archive, env=environment)

        assert terraform("init", *options).wait(60) == 0
        apply = terraform("apply", "-auto-approve")
        until((archive / "running").exists)
        newer = read_credentials(json.loads(credentials("NEWER", HOUR)))
        has.known, before = newer, len(place.s3.signers)
        (archive / "go").touch()
        assert apply.wait(60) == 0
        endpoint.shutdown()
    assert {key for key, _ in place.s3.signers[:before]} == {"RUN"}
    after = place.s3.signers[before:]
    assert ("NEWER", "PUT state/terraform.tfstate") in after
    assert {key for key, _ in after} == {"NEWER"}


@pytest.mark.slow
def test_a_build_whose_credentials_end_soon_says_so_and_applies_nothing(place: Place) -> None:
    archive = place.archive("run-1", ONE)
    place.lasts(archive, timedelta(minutes=9))
    assert place.build(archive) == 1
    result = place.result("run-1")
    assert (result["status"], result["retryable"]) == ("errored", True)
    assert "the run's credentials are valid until" in result["error"]
    assert place.record("run-1", "applying") is None


def test_a_build_that_begins_with_expired_ones_begins_nothing(
    place: Place, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    archive = place.archive("run-1", ONE)
    place.lasts(archive, timedelta(seconds=-1))
    with pytest.raises(RunError, match=r"the run's credentials are valid until .* not renewed"):
        execution(archive).execute()
    assert place.record("run-1", "started") is None
