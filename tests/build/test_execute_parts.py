"""Parts of the build that a run on this machine doesn't reach: AWS's signatures, credentials of
a container."""

import json
import threading
import time
import urllib.request

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cts.build import log, output
from cts.build import s3 as build_s3
from cts.build.errors import RunError
from cts.build.https import context_for
from cts.build.log import Log, Tail
from cts.build.output import TerraformErrors
from cts.build.plan import changes, counts
from cts.build.terraform import backend_options
from tests.build.s3 import S3


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:4566"])
def test_requests_are_signed_as_the_aws_sdk_signs_them(
    client: build_s3.S3, endpoint: str | None
) -> None:
    client.endpoint = endpoint
    request = client._request("PUT", "work", "runs/a b/ü+1.json", b"body", {"if-none-match": "*"})
    headers = dict(request.header_items())
    theirs = AWSRequest("PUT", request.full_url, data=b"body")
    for name in ("X-amz-content-sha256", "X-amz-date", "X-amz-security-token"):
        theirs.headers[name] = headers[name]
    theirs.context["timestamp"] = headers["X-amz-date"]
    signer = S3SigV4Auth(Credentials("AKID", "secret", "token"), "s3", "eu-west-1")
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert headers["Authorization"].endswith(f"Signature={signer.signature(text, theirs)}")


def test_without_an_endpoint_the_bucket_is_in_the_host_name(client: build_s3.S3) -> None:
    client.endpoint = None
    url = client._request("GET", "work", "a/b", b"", {}).full_url
    assert url == "https://work.s3.eu-west-1.amazonaws.com/a/b"


def test_credentials_of_a_container_are_fetched_anew_before_they_expire(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{s3.url}/credentials/role")
    found = {"AccessKeyId": "first", "SecretAccessKey": "s", "Token": "t"}

    def answer(key_id: str, expiration: str) -> None:
        record = found | {"AccessKeyId": key_id, "Expiration": expiration}
        s3.objects["credentials/role"] = json.dumps(record).encode()

    answer("first", "2000-01-01T00:00:00Z")
    assert client._fresh_credentials().key_id == "first"
    answer("second", "2999-01-01T00:00:00Z")
    assert client._fresh_credentials().key_id == "second"
    answer("third", "2999-01-01T00:00:00Z")
    assert client._fresh_credentials().key_id == "second"


@pytest.mark.parametrize(
    "code", ["RequestTimeout", "SlowDown", "RequestTimeTooSkewed", "InternalError", "ExpiredToken"]
)
def test_what_passes_is_tried_again_whatever_its_status(
    s3: S3, client: build_s3.S3, code: str
) -> None:
    faults = iter([(400, code)])
    s3.fault = lambda *_: next(faults, None)
    client.put("work", "x", b"body")
    assert s3.objects["work/x"] == b"body"


def test_an_expired_token_is_fetched_anew(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put("work", "x", b"")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "second")
    faults = iter([(400, "ExpiredToken")])
    s3.fault = lambda *_: next(faults, None)
    client.put("work", "x", b"body")
    assert client._fresh_credentials().key_id == "second"


def test_what_is_begun_is_read_side_by_side_and_once(s3: S3, client: build_s3.S3) -> None:
    s3.objects["work/a"] = b"old"
    both = threading.Barrier(2, timeout=30)

    def meet(*_: str) -> None:
        both.wait()

    s3.fault = meet
    client.begin(("GET", "work", "a"), ("HEAD", "work", "b"))
    assert body(client.get("work", "a")) == b"old"
    assert not client.exists("work", "b")
    s3.fault = lambda *_: None
    s3.objects["work/a"] = b"new"
    assert body(client.get("work", "a")) == b"new"


def body(stored: build_s3.StoredState | None) -> bytes:
    assert stored
    return stored.body


def test_a_read_that_was_begun_fails_for_who_asks_for_it(s3: S3, client: build_s3.S3) -> None:
    s3.fault = lambda *_: (403, "AccessDenied")
    client.begin(("GET", "work", "a"))
    with pytest.raises(RunError, match="GET s3://work/a: HTTP 403 AccessDenied"):
        client.get("work", "a")


def test_no_request_takes_more_than_half_of_the_time_that_is_left(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    waits: list[float] = []

    def hangs(request: object, timeout: float, context: object) -> None:
        waits.append(timeout)
        now[0] += timeout
        raise TimeoutError("timed out")

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(urllib.request, "urlopen", hangs)
    client.ends_at = 200.0
    with pytest.raises(RunError, match="timed out"):
        client.put("work", "x", b"")
    assert waits[0] == 25
    assert len(waits) > 1
    assert now[0] <= 151


def test_all_connections_share_what_is_known_of_cas() -> None:
    shared = context_for("https://work.s3.eu-west-1.amazonaws.com/x")
    assert shared is not None
    assert shared is context_for("https://sts.eu-west-1.amazonaws.com/")
    assert context_for("http://127.0.0.1:4566/") is None


def test_credentials_of_a_container_are_never_asked_for_through_a_proxy(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it has the proxies of its first call
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{s3.url}/credentials/role")
    found = {"AccessKeyId": "A", "SecretAccessKey": "s", "Token": "t"}
    record = found | {"Expiration": "2999-01-01T00:00:00Z"}
    s3.objects["credentials/role"] = json.dumps(record).encode()
    assert client._fresh_credentials().key_id == "A"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"Expiration": "soon"}'])
def test_credentials_that_cannot_be_read_are_a_sentence(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{s3.url}/credentials/role")
    s3.objects["credentials/role"] = body
    client.attempts = 1
    with pytest.raises(RunError, match=r"AWS credentials from http://.*/credentials/role"):
        client.get("work", "x")


def test_no_credentials_at_all_is_said(
    client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(RunError, match="finding AWS credentials: neither"):
        client.get("work", "x")


def test_a_note_shows_no_password_of_an_address() -> None:
    written = Log()
    written.note("no module at git::https://deploy:hunter2@git.example.com/m.git")
    assert b"hunter2" not in written.body()
    assert b"git.example.com/m.git" in written.body()


def test_a_note_shows_no_value_that_is_hidden() -> None:
    written = Log()
    written.hidden.add("of-consul")
    written.note("what failed said: of-consul is no token")
    assert b"what failed said: *** is no token" in written.body()


def test_a_log_and_a_streams_text_keep_the_end_of_what_is_very_long() -> None:
    tail = Tail(10)
    for line in ("12345\n", "6789\n", "abc\n"):
        tail.add(line)
    assert (str(tail), tail.left_out) == ("6789\nabc\n", 6)
    written = Log()
    written._text = tail
    assert written.body() == b"[the first 6 characters are left out]\n6789\nabc\n"


def test_what_is_printed_in_braces_and_is_no_state_is_shown() -> None:
    written = Log()
    text = 'before\n{\n  "a": 1\n}\nafter\n{\nopen\n'
    errors = TerraformErrors(written)
    for data in (text.encode(), b""):
        errors.add(data)
    assert (str(errors), errors.state) == (text, "")
    assert written.body().decode() == text


@pytest.mark.parametrize("first", ["{\n", '{\n  "lineage": "x"\n'])
def test_a_block_that_never_ends_is_kept_no_longer_than_any_text(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr(log, "LOG_CHARACTERS", 1000)
    for name in ("OUTPUT_CHARACTERS", "STATE_BYTES"):
        monkeypatch.setattr(output, name, 1000)
    written = Log()
    errors = TerraformErrors(written)
    for data in (first.encode(), *[b"line of a block\n"] * 1000, b""):
        errors.add(data)
    assert len(str(errors)) <= 1000
    assert len(errors.state) <= 1000
    assert len(written.body()) <= 1100


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Plan: 1 to add, 2 to change, 3 to destroy.", (1, 2, 3)),
        ("Plan: 4 to import, 1 to add, 0 to change, 10 to destroy.", (1, 0, 10, 4)),
        ("Changes to Outputs:", (0, 0, 0)),
        ('      + note = "Plan: 9 to add, 9 to change, 9 to destroy."', (0, 0, 0)),
        (
            "Plan: 9 to add, 0 to change, 0 to destroy.\nPlan: 1 to add, 2 to change, 3 to destroy",
            (1, 2, 3),
        ),
    ],
)
def test_counts_are_those_of_the_plan(line: str, expected: tuple[int, ...]) -> None:
    counted = counts(f"before\n{line}\nafter\n")
    assert tuple(counted.values()) == expected
    assert list(counted) == ["add", "change", "destroy", "import"][: len(expected)]


@pytest.mark.parametrize(
    ("version", "locks"), [("1.9.8", False), ("1.10.0", True), ("1.15.0-rc1", True)]
)
def test_lock_files_are_asked_for_where_terraform_knows_them(version: str, locks: bool) -> None:
    options = backend_options(version, other_endpoint=False)
    assert options == (["-backend-config=use_lockfile=true"] if locks else [])


def test_an_endpoint_without_credentials_is_not_taken_for_an_object_that_is_missing(
    s3: S3, client: build_s3.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{s3.url}/credentials/absent")
    client.attempts = 1
    with pytest.raises(RunError, match=r"fetching AWS credentials from .* HTTP Error 404"):
        client.get("work", "x")


SAID = """
Terraform will perform the following actions:

  # terraform_data.gone will be destroyed
  # (because terraform_data.gone is not in configuration)
  - resource "terraform_data" "gone" {
      - output = "  # terraform_data.text will be created" -> null
    }

  # terraform_data.imported will be imported
  # terraform_data.keep must be replaced
  # terraform_data.moved is tainted, so must be replaced
  # (moved from terraform_data.before)
  # terraform_data.tainted is tainted, so it must be replaced
  # terraform_data.new["a b"] will be created
  # terraform_data.asked will be replaced, as requested
  # terraform_data.changed will be updated in-place
  # terraform_data.old (deposed object 8a1f0c2d) will be destroyed
  # terraform_data.then has moved to terraform_data.now
 # terraform_data.left will no longer be managed by Terraform, but will not be destroyed
"""
"""As Terraform 1.11.4 prints it."""


def test_changes_are_those_of_the_plan() -> None:
    assert [(each["action"], each["address"]) for each in changes(SAID)] == [
        ("destroy", "terraform_data.gone"),
        ("import", "terraform_data.imported"),
        ("replace", "terraform_data.keep"),
        ("replace", "terraform_data.moved"),
        ("replace", "terraform_data.tainted"),
        ("create", 'terraform_data.new["a b"]'),
        ("replace", "terraform_data.asked"),
        ("update", "terraform_data.changed"),
        ("destroy", "terraform_data.old"),
        ("move", "terraform_data.then"),
        ("forget", "terraform_data.left"),
    ]


@pytest.mark.parametrize("length", [10, 150, 10_000])
def test_only_the_first_changes_are_recorded(length: int) -> None:
    said = "".join(f"  # {n:0{length}} will be created\n" for n in range(200))
    found = changes(said)
    assert 0 < len(found) <= 50
    assert len(json.dumps(found)) < 10_000
