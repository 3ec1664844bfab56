"""A state that Terraform could not store outlives the build, and is pushed before anything else."""

import json
import os
import signal
from pathlib import Path

import pytest

from cts.build.errors import RunError
from tests.build.conftest import OTHER_STATE, STATE, TASK, Place, execution

UNPUSHED = f"work/unpushed/{TASK}"
SECRET = "s3cr3t-of-the-device"
SLOW = """
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "exec sleep 300" }
}
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A folder in which each rule is a file: what was made twice is there twice."""
    device = tmp_path / "device"
    device.mkdir()
    return device


def rule(device: Path, name: str = "rule") -> str:
    command = f"mktemp {device}/{name}-XXXX"
    return (
        f'resource "terraform_data" "{name}" {{\n  input = "{SECRET}"\n'
        f'  provisioner "local-exec" {{ command = "{command}" }}\n}}\n'
    )


def refuse_the_state(place: Place, run: str, status: int = 403) -> None:
    """From the run's apply on."""
    place.s3.fault = lambda method, path: (
        status if (method, path) == ("PUT", STATE) and place.record(run, "applying") else None
    )


def left_behind(place: Place, device: Path) -> None:
    """Run 1 has made a rule, and its state could not be stored."""
    refuse_the_state(place, "run-1")
    assert place.build(place.archive("run-1", rule(device))) == 1
    place.s3.fault = lambda *_: None


def test_the_state_is_kept_and_the_result_says_where(place: Place, device: Path) -> None:
    left_behind(place, device)
    result = place.result("run-1")
    name = f"s3://work/runs/{TASK}/run-1/errored.tfstate"
    assert (result["status"], result["step"]) == ("errored", "apply")
    assert (result["retryable"], result["errored_state"]) == (True, True)
    assert name in result["error"]
    assert name in place.log("run-1")
    kept = json.loads(place.record("run-1", "errored.tfstate") or b"")
    assert [each["name"] for each in kept["resources"]] == ["rule"]


def test_the_next_run_pushes_it_before_it_plans(place: Place, device: Path) -> None:
    left_behind(place, device)
    assert place.build(place.archive("run-2", rule(device))) == 0
    assert place.result("run-2")["status"] == "unchanged"
    assert len(list(device.iterdir())) == 1
    assert place.resources() == ["rule"]
    assert UNPUSHED not in place.s3.objects
    assert place.log("run-2").index("state push") < place.log("run-2").index("terraform apply")


def test_another_change_finds_it_however_many_runs_were_between(place: Place, device: Path) -> None:
    left_behind(place, device)
    archive = place.archive("run-9", rule(device) + rule(device, "other"), former=[])
    assert place.build(archive) == 0
    assert place.result("run-9")["counts"] == {"add": 1, "change": 0, "destroy": 0}
    assert place.resources() == ["other", "rule"]


def test_one_that_still_cannot_be_stored_stops_the_next_run(place: Place, device: Path) -> None:
    left_behind(place, device)
    place.s3.fault = lambda method, path: 403 if (method, path) == ("PUT", STATE) else None
    assert place.build(place.archive("run-2", rule(device))) == 1
    result = place.result("run-2")
    assert (result["step"], result["retryable"]) == ("init", True)
    assert f"runs/{TASK}/run-1/errored.tfstate" in result["error"]
    place.s3.fault = lambda *_: None
    assert place.build(place.archive("run-3", rule(device))) == 0
    assert len(list(device.iterdir())) == 1


def test_a_push_that_was_done_already_is_not_done_again(place: Place, device: Path) -> None:
    """The run that pushed it died before it said so; or a person has pushed it."""
    left_behind(place, device)
    marker = place.s3.objects[UNPUSHED]
    assert place.build(place.archive("run-2", rule(device))) == 0
    place.s3.objects[UNPUSHED] = marker
    assert place.build(place.archive("run-3", rule(device))) == 0
    assert place.result("run-3")["status"] == "unchanged"
    assert "state push" not in place.log("run-3")
    assert UNPUSHED not in place.s3.objects


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"serial": 9}, "newer state"),
        ({"lineage": "another", "outputs": {"x": {"value": 1, "type": "number"}}}, "lineage"),
    ],
)
def test_a_state_that_went_on_meanwhile_is_never_replaced(
    place: Place, device: Path, change: dict[str, object], says: str
) -> None:
    left_behind(place, device)
    other = json.dumps(json.loads(place.s3.objects[STATE]) | change).encode()
    place.s3.objects[STATE] = other
    assert place.build(place.archive("run-2", rule(device))) == 1
    result = place.result("run-2")
    assert (result["status"], result["step"], result["retryable"]) == ("errored", "init", False)
    assert says in result["error"]
    assert f"s3://{UNPUSHED}" in result["error"]
    assert place.s3.objects[STATE] == other
    assert len(list(device.iterdir())) == 1


def test_one_that_cannot_be_kept_either_stops_every_run_until_a_person_came(
    place: Place, device: Path
) -> None:
    def refused(method: str, path: str) -> int | None:
        lost = path in (STATE, f"work/runs/{TASK}/run-1/errored.tfstate")
        return 403 if method == "PUT" and lost and place.record("run-1", "applying") else None

    place.s3.fault = refused
    assert place.build(place.archive("run-1", rule(device))) == 1
    result = place.result("run-1")
    assert (result["retryable"], result["errored_state"]) == (False, False)
    assert "could not be kept" in result["error"]
    assert "Failed to save state" in result["error"]
    place.s3.fault = lambda *_: None
    assert place.build(place.archive("run-2", rule(device))) == 1
    assert place.result("run-2")["retryable"] is False
    assert "run-1" in place.result("run-2")["error"]
    assert len(list(device.iterdir())) == 1


def test_a_state_that_no_disk_took_is_kept_and_shown_to_nobody(place: Place, device: Path) -> None:
    refuse_the_state(place, "run-1")
    archive = place.archive("run-1", rule(device))
    (archive / "errored.tfstate").mkdir()  # so that Terraform can't write the file
    assert place.build(archive) == 1
    assert SECRET not in place.result("run-1")["error"]
    assert SECRET not in place.log("run-1").split("Enter a value: yes", 1)[1]
    place.s3.fault = lambda *_: None
    assert place.build(place.archive("run-2", rule(device))) == 0
    assert place.resources() == ["rule"]
    assert len(list(device.iterdir())) == 1


def test_a_run_that_its_time_limit_ends_keeps_it_too(place: Place, device: Path) -> None:
    refuse_the_state(place, "run-1")
    archive = place.archive("run-1", rule(device) + SLOW)
    assert place.build(archive, minutes=0.15) == 1
    assert "time limit" in place.result("run-1")["error"]
    assert place.result("run-1")["errored_state"] is True
    place.s3.fault = lambda *_: None
    assert place.build(place.archive("run-2", rule(device))) == 0
    assert len(list(device.iterdir())) == 1


def fails(command: str, name: str = "fails") -> str:
    return (
        f'resource "terraform_data" "{name}" {{\n'
        f'  provisioner "local-exec" {{ command = {json.dumps(command)} }}\n}}\n'
    )


def test_a_marker_that_is_refused_costs_no_state_and_promises_nothing(
    place: Place, device: Path
) -> None:
    place.s3.fault = lambda method, path: (
        403
        if method == "PUT" and path in (STATE, UNPUSHED) and place.record("run-1", "applying")
        else None
    )
    assert place.build(place.archive("run-1", rule(device))) == 1
    result = place.result("run-1")
    assert json.loads(place.record("run-1", "errored.tfstate") or b"")["resources"]
    assert (result["retryable"], result["errored_state"]) == (False, False)
    assert f"Nothing keeps the next run of {TASK} from planning" in result["error"]
    assert f"s3://{UNPUSHED} could not be put" in result["error"]
    assert "No run of" not in result["error"]


def test_a_build_that_dies_before_the_state_is_kept_lets_no_run_plan_over_it(
    place: Place, device: Path
) -> None:
    def dies(method: str, path: str) -> int | None:
        if (method, path) == ("PUT", f"work/runs/{TASK}/run-1/errored.tfstate"):
            place.started[0].kill()
            return 500
        return (
            403 if (method, path) == ("PUT", STATE) and place.record("run-1", "applying") else None
        )

    place.s3.fault = dies
    assert place.build(place.archive("run-1", rule(device))) == -signal.SIGKILL
    place.s3.fault = lambda *_: None
    assert place.build(place.archive("run-2", rule(device))) == 1
    assert "run run-1 could not store its state" in place.result("run-2")["error"]
    assert len(list(device.iterdir())) == 1


def test_a_state_of_which_nobody_can_tell_whether_it_is_stored_is_kept(
    place: Place, device: Path
) -> None:
    place.s3.fault = lambda _, path: 403 if path == STATE and any(device.iterdir()) else None
    assert place.build(place.archive("run-1", rule(device))) == 1
    assert place.result("run-1")["errored_state"] is True
    place.s3.fault = lambda *_: None
    assert place.build(place.archive("run-2", rule(device))) == 0
    assert len(list(device.iterdir())) == 1


@pytest.mark.parametrize(
    "command",
    [
        "printf '%0200000d' 0 | tr 0 '[' > errored.tfstate; exit 1",
        "truncate -s 200G errored.tfstate; exit 1",
        "terraform state pull > errored.tfstate; exit 1",
        'echo \'{"version": 4, "serial": 1, "lineage": "x"}\' > errored.tfstate; exit 1',
        "echo Failed to persist state to backend; exit 1",
        "printf '\\nError: Failed to persist state to backend\\n'; exit 1",
    ],
)
def test_what_a_module_leaves_or_prints_is_no_lost_state(place: Place, command: str) -> None:
    assert place.build(place.archive("run-1", fails(command))) == 1
    result = place.result("run-1")
    assert "local-exec provisioner error" in result["error"]
    assert (result["retryable"], result["errored_state"]) == (True, False)
    assert UNPUSHED not in place.s3.objects
    assert place.build(place.archive("run-2", rule(place.folder))) == 0


def test_a_file_of_that_name_from_before_the_run_is_no_lost_state(place: Place) -> None:
    archive = place.archive("run-1", fails("exit 1"))
    file = archive / "errored.tfstate"
    file.write_bytes(OTHER_STATE)
    os.utime(file, (1, 1))
    place.s3.fault = lambda method, path: (
        403 if (method, path) == ("GET", STATE) and place.record("run-1", "applying") else None
    )
    assert place.build(archive) == 1
    assert UNPUSHED not in place.s3.objects


def test_whatever_happens_while_the_state_is_kept_there_is_a_result(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    run = execution(place.archive("run-1", ""))
    run.reach("apply")

    def breaks(error: str, printed: str) -> None:
        raise MemoryError

    monkeypatch.setattr(run.lost_state, "keep", breaks)
    result = run.failure(RunError("terraform apply: no"))
    assert result["error"].startswith("terraform apply: no\n\nWhether its state is stored")
    assert (result["retryable"], result["errored_state"]) == (False, False)


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"serial": "x", "lineage": "x"}', b"{}", b"null", b"\xff"]
)
def test_a_kept_state_that_is_none_is_named(place: Place, device: Path, body: bytes) -> None:
    left_behind(place, device)
    place.s3.objects[f"work/runs/{TASK}/run-1/errored.tfstate"] = body
    assert place.build(place.archive("run-2", rule(device))) == 1
    result = place.result("run-2")
    assert f"runs/{TASK}/run-1/errored.tfstate is not a Terraform state" in result["error"]
    assert result["retryable"] is False
    assert UNPUSHED in place.s3.objects
    assert len(list(device.iterdir())) == 1
