"""Whatever happens to a build, it leaves a result with a reason, and the log so far."""

import json
import threading
from pathlib import Path

import pytest

from cts.build.masking import masked
from tests.build.conftest import SOON, STATE, TASK, Place, execution, until
from tests.build.test_execute import LOCK, ONE, started

NOISY = """
resource "terraform_data" "noisy" {
  provisioner "local-exec" { command = "yes 0123456789 | head -c 300000" }
}
"""
SLOW = """
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "echo so far; touch running; exec sleep 300" }
}
"""
ADDRESSES = [
    "git::https://deploy:hunter2@127.0.0.1:1/net/firewall.git",
    "git::https://hunter2-hunter2-x@127.0.0.1:1/net/firewall.git",
    "https://127.0.0.1:1/firewall.zip?token=hunter2",
    "https://127.0.0.1:1/firewall.zip?archive=zip&X-Amz-Signature=hunter2",
    "git::ssh://git:hunter2@127.0.0.1:1/firewall.git?sshkey=hunter2",
]


def test_a_full_disk_ends_no_run(place: Place) -> None:
    archive = place.archive("run-1", NOISY)
    (archive / ".build").mkdir()
    (archive / ".build" / "log").symlink_to("/dev/full")
    place.start(archive, output=Path("/dev/full")).join(60)
    assert place.result("run-1")["status"] == "applied"
    assert place.log("run-1").count("0123456789") > 20000
    assert LOCK not in place.s3.objects


def test_a_folder_that_nothing_can_be_written_to_is_the_reason(place: Place) -> None:
    archive = place.archive("run-1", ONE)
    (archive / ".build").touch()
    assert place.build(archive) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"], result["retryable"]) == ("errored", "start", True)
    assert "FileExistsError" in result["error"]
    assert str(archive / ".build") in result["error"]
    assert "Traceback" not in result["error"]
    assert result["error"] in place.log("run-1")


LOCK_BODY = {
    "ID": "x",
    "Operation": "OperationTypeApply",
    "Who": "a@b",
    "Created": "2026-01-01T10:00:00Z",
}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "locked",
        "[]",
        "7",
        '{"ID": "x"}',
        json.dumps({**LOCK_BODY, "Created": "yesterday"}),
        json.dumps({**LOCK_BODY, "Created": "2026-01-01T10:00:00"}),
        json.dumps({**LOCK_BODY, "Created": None}),
        json.dumps({**LOCK_BODY, "Who": ""}),
        b"\xff\xfe".decode("latin-1"),
    ],
)
def test_a_lock_that_is_none_is_named(place: Place, body: str) -> None:
    former = [{"run": "run-0", "ended_at": "2026-01-01T10:01:00Z"}]
    started(place, "run-0", build="project:0", who="a@b", at="2026-01-01T09:59:00Z")
    place.s3.objects[LOCK] = body.encode("latin-1")
    assert place.build(place.archive("run-1", ONE, former=former)) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"], result["retryable"]) == ("errored", "init", False)
    assert f"s3://{LOCK} is not a Terraform lock" in result["error"]
    assert "delete the lock" in result["error"]
    assert LOCK in place.s3.objects


@pytest.mark.parametrize(
    "body", ["", "[]", "[" * 200_000, "{}", '{"who": "a@b"}', '{"who": "a@b", "at": "now"}']
)
def test_a_former_run_whose_record_is_unreadable_holds_no_lock(place: Place, body: str) -> None:
    former = [{"run": "run-0", "ended_at": "2026-01-01T10:01:00Z"}]
    place.s3.objects[f"work/runs/{TASK}/run-0/started"] = body.encode()
    place.s3.objects[LOCK] = json.dumps(LOCK_BODY).encode()
    assert place.build(place.archive("run-1", ONE, former=former), minutes=SOON) == 0
    result = place.result("run-1")
    assert result["status"] == "busy"
    assert "the state is locked by a@b" in result["error"]


@pytest.mark.parametrize("text", ["", "[", "{}"])
def test_facts_that_are_unreadable_are_said_where_they_can_be(place: Place, text: str) -> None:
    archive = place.archive("run-1", ONE)
    (archive / "run.json").write_text(text)
    output = place.start(archive).end()
    assert "run.json" in output or "'task'" in output
    assert [key for key in place.s3.objects if "run-1" in key] == []


def test_a_record_that_does_not_say_whose_run_it_is_stops_the_build(place: Place) -> None:
    place.s3.objects[f"work/runs/{TASK}/run-1/started"] = b"garbage"
    output = place.start(place.archive("run-1", ONE)).end()
    assert f"s3://work/runs/{TASK}/run-1/started does not say whose run this is" in output
    assert STATE not in place.s3.objects


def test_the_log_can_be_read_while_terraform_applies(place: Place) -> None:
    archive = place.archive("run-1", SLOW)
    place.start(archive)
    until((archive / "running").exists)
    until(lambda: "so far" in place.log("run-1"), 10)
    assert place.record("run-1", "result.json") is None


def test_a_log_that_is_refused_meanwhile_breaks_nothing(place: Place) -> None:
    log = f"work/runs/{TASK}/run-1/log"
    archive = place.archive("run-1", SLOW.replace("sleep 300", "sleep 3"))
    place.s3.fault = lambda _, path: (
        403 if path == log and not (archive / "running").exists() else None
    )
    assert place.build(archive) == 0
    assert "Apply complete!" in place.log("run-1")


def test_a_log_that_hangs_keeps_no_result_back(place: Place) -> None:
    ends = threading.Event()

    def hangs(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/log"):
            ends.wait(60)

    place.s3.fault = hangs
    place.start(place.archive("run-1", SLOW.replace("sleep 300", "sleep 3")))
    until(lambda: place.record("run-1", "result.json"), 40)
    assert not place.log("run-1")
    ends.set()
    place.started[0].end()
    assert "Apply complete!" in place.log("run-1")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_in_a_modules_address_is_shown_nowhere(place: Place, address: str) -> None:
    process = place.start(place.archive("run-1", f'module "x" {{ source = "{address}" }}\n'))
    output = process.end(120)
    result = json.dumps(place.result("run-1"))
    assert "127.0.0.1" in result
    assert "***" in place.log("run-1")
    assert "hunter2" not in result + place.log("run-1") + output


def test_an_error_that_nobody_expected_shows_no_password_either(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    run = execution(place.archive("run-1", ""))
    try:
        raise ValueError(ADDRESSES[0])
    except ValueError as error:
        result = run.failure(error)
    out, err = capfd.readouterr()
    assert "127.0.0.1" in result["error"]
    assert "ValueError" in err
    assert "hunter2" not in json.dumps(result) + out + err


def test_former_versions_of_the_lock_go_and_those_of_the_state_stay(place: Place) -> None:
    for run in ("run-1", "run-2", "run-3"):
        assert place.build(place.archive(run, f'output "x" {{ value = "{run}" }}')) == 0
    assert [each.body for each in place.s3.versions[LOCK]] == [None]
    assert len(place.s3.versions[STATE]) >= 3


def test_versions_of_the_lock_that_may_not_be_deleted_fail_no_run(place: Place) -> None:
    place.s3.fault = lambda method, _: 403 if method == "POST" else None
    assert place.build(place.archive("run-1", ONE)) == 0
    assert place.result("run-1")["status"] == "applied"


def test_a_lock_that_is_held_when_the_run_ends_stays(place: Place) -> None:
    """A person has taken it after the run's apply."""

    def taken(method: str, path: str) -> None:
        if (method, path) == ("PUT", f"work/runs/{TASK}/run-1/result.json"):
            place.s3.change(LOCK, b"a person's")

    place.s3.fault = taken
    assert place.build(place.archive("run-1", ONE)) == 0
    assert place.s3.objects[LOCK] == b"a person's"
    assert [each.body for each in place.s3.versions[LOCK]] == [b"a person's"]


MASKED = [
    *ADDRESSES,
    "git::https://hunter2:x-oauth-basic@github.com/o/r.git",
    "https://hunter2:@gitlab.com/x.git",
    "https://oauth2:hunt/er2@gitlab.com/x.git",
    "https://h/m.zip?jwt=hunter2",
    "https://h/m.zip?a=1&pat=hunter2",
    "https://h/m.zip?code=hunter22",
    "https://h/m.zip?accessToken=hunter2",
    "https://h/m.zip?apiKey=hunter2",
    "https://h/m.zip?AWSAccessKeyId=hunter2&secret_id=hunter2",
    "https://h/m.zip?my_key=hunter22",
    "https://h/m.zip?auth=hunter22",
]
SHOWN = [
    "https://host:8443/npm/@scope/pkg",
    "see https://registry:443/a, mail a@b.c",
    "http://[fe80::1]:80/a@b",
    "git::ssh://deploy@host/m.git",
    "https://git@host/m.git",
    "https://oauth2@host/m.git",
    "https://h/m.zip?author=me&design=x&monkey=banana&keyboard=1&encode=1&path=a",
]


@pytest.mark.parametrize("address", MASKED)
def test_no_password_in_an_address_is_shown(address: str) -> None:
    for part in ("hunter2", "hunt/er2"):
        assert part not in masked(f'source = "{address}"')


@pytest.mark.parametrize("text", SHOWN)
def test_what_is_no_password_is_shown(text: str) -> None:
    assert masked(text) == text


def test_a_user_that_is_only_a_name_is_shown() -> None:
    for user in ("git", "oauth2", "token", "x-access-token", "x-token-auth"):
        assert masked(f"https://{user}:hunter2@h/m") == f"https://{user}:***@h/m"


def test_what_is_left_of_a_run_is_put_away_side_by_side(place: Place) -> None:
    ours = {("PUT", f"work/runs/{TASK}/run-1/plan"), ("GET", f"work/unfinished/{TASK}/apply")}
    both = threading.Barrier(2, timeout=15)

    def meet(method: str, path: str) -> None:
        if (method, path) in ours and place.record("run-1", "result.json"):
            both.wait()

    place.s3.fault = meet
    assert place.build(place.archive("run-1", ONE)) == 0
    assert not both.broken
    assert place.record("run-1", "plan")


def test_what_can_not_be_put_away_keeps_nothing_else_from_it(place: Place) -> None:
    def refuse(_method: str, path: str) -> int | None:
        is_marker = path == f"work/unfinished/{TASK}/apply"
        return 403 if is_marker and place.record("run-1", "result.json") else None

    place.s3.fault = refuse
    assert place.build(place.archive("run-1", ONE)) == 0
    assert place.record("run-1", "plan")
    assert place.result("run-1")["status"] == "applied"
