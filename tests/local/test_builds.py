"""A build without AWS: its request, its shell, its record and its events."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from local import build_shell, buildspec
from local.build import Build
from local.build_request import Refused, settings
from local.waiting import wait_until

PROJECT: dict[str, Any] = {
    "name": "cts",
    "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2"},
    "environment": {
        "type": "ARM_CONTAINER",
        "image": "image",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [
            {"name": "A", "value": "project", "type": "PLAINTEXT"},
            {"name": "B", "value": "project", "type": "PLAINTEXT"},
        ],
    },
    "serviceRole": "arn:aws:iam::000000000000:role/build",
    "timeoutInMinutes": 60,
}


def build(**overrides: Any) -> Build:
    return Build(
        id="cts:1",
        arn="arn:aws:codebuild:us-east-1:000000000000:build/cts:1",
        number=1,
        settings=settings(PROJECT, {"projectName": "cts", **overrides}),
        source_version="v1",
        initiator="role/runner",
        started=1504239149.0,
    )


# ---- the request -------------------------------------------------------------------------------


def test_variables_of_the_request_replace_those_of_the_project_by_name() -> None:
    made = build(environmentVariablesOverride=[{"name": "B", "value": "request"}])
    assert {v["name"]: v["value"] for v in made.variables} == {"A": "project", "B": "request"}


def test_overrides_reach_the_settings_and_leave_the_project_alone() -> None:
    made = settings(
        PROJECT,
        {
            "projectName": "cts",
            "sourceTypeOverride": "S3",
            "sourceLocationOverride": "bucket/key.zip",
            "timeoutInMinutesOverride": 5,
            "serviceRoleOverride": "other",
        },
    )
    assert made["source"]["type"] == "S3"
    assert made["source"]["location"] == "bucket/key.zip"
    assert made["timeoutInMinutes"] == 5
    assert made["serviceRole"] == "other"
    assert PROJECT["source"]["type"] == "NO_SOURCE"


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ({"timeoutInMinutesOverride": 4}, "from 5 to 2160"),
        ({"queuedTimeoutInMinutesOverride": 481}, "from 5 to 480"),
        ({"cacheOverride": {"type": "S3"}}, "Not supported here: cacheOverride"),
    ],
)
def test_what_codebuild_or_this_stack_does_not_take_is_refused(
    request_: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(Refused, match=complaint):
        settings(PROJECT, {"projectName": "cts", **request_})


# ---- the shell ---------------------------------------------------------------------------------


def in_thread(made: Build, command: str, folder: Path, seconds: float) -> Callable[[], str]:
    """Runs one command as the build's; returns what waits for the status."""
    statuses: list[str] = []

    def work() -> None:
        spec = buildspec.Buildspec({"BUILD": buildspec.Phase((command,))})
        deadline = time.monotonic() + seconds
        env = {"PATH": "/usr/bin:/bin"}
        statuses.append(
            build_shell.run_phases(made, spec, env, folder, lambda _: None, deadline)
        )  # fmt: skip

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def wait() -> str:
        thread.join(30)
        return statuses[0]

    return wait


def building(made: Build, folder: Path) -> bool:
    return (folder / "running").exists() and made.current_phase == "BUILD"


ENDLESS = "touch running; sleep 1000"


def test_a_build_past_its_limit_is_timed_out(tmp_path: Path) -> None:
    made = build()
    assert in_thread(made, ENDLESS, tmp_path, 0.5)() == "TIMED_OUT"
    assert made.phases[-1].status == "TIMED_OUT"


def test_a_stopped_build_ends_although_it_ignores_the_first_signal(tmp_path: Path) -> None:
    made = build()
    wait = in_thread(made, f"trap '' TERM; {ENDLESS}", tmp_path, 600)
    wait_until(lambda: building(made, tmp_path), 10, "the build to run")
    made.stop.set()
    assert wait() == "STOPPED"


def test_a_build_whose_container_is_lost_ends_as_the_fault_says(tmp_path: Path) -> None:
    made = build()
    wait = in_thread(made, ENDLESS, tmp_path, 600)
    wait_until(lambda: building(made, tmp_path), 10, "the build to run")
    made.killed_as = "FAULT"
    assert wait() == "FAULT"
    assert made.phases[-1].context[0]["statusCode"] == "INTERNAL_SERVICE_ERROR"


def test_a_builds_end_is_the_end_of_groups_that_it_made(tmp_path: Path) -> None:
    made = build()
    own_group = (
        "import os; os.setpgid(0, 0); open('running', 'w'); os.execvp('sleep', ['sleep', '9'])"
    )
    wait = in_thread(made, f'python3 -c "{own_group}"', tmp_path, 600)
    wait_until(lambda: building(made, tmp_path), 10, "the build to run")
    made.stop.set()
    assert wait() == "STOPPED"
    assert not build_shell.kill_session(made.shell)


def test_a_failed_command_is_the_context_of_its_phase(tmp_path: Path) -> None:
    made = build()
    assert in_thread(made, "(exit 3)", tmp_path, 600)() == "FAILED"
    (failed,) = [phase for phase in made.phases if phase.status == "FAILED"]
    assert failed.kind == "BUILD"
    assert failed.context == [
        {
            "statusCode": "COMMAND_EXECUTION_ERROR",
            "message": "Error while executing command: (exit 3). Reason: exit status 3",
        }
    ]


def test_a_shell_that_exits_fails_the_phase_it_was_in(tmp_path: Path) -> None:
    made = build()
    assert in_thread(made, "exit 0; true", tmp_path, 600)() == "SUCCEEDED"
    made = build()
    assert in_thread(made, "exit 4", tmp_path, 600)() == "FAILED"
    assert made.phases[-1].status == "FAILED"


# ---- the record and the event ------------------------------------------------------------------


def finished() -> Build:
    made = build(environmentVariablesOverride=[{"name": "CTS_RUN_ID", "value": "web-1"}])
    for phase in ("SUBMITTED", "QUEUED", "BUILD"):
        made.begin(phase)
    made.end("FAILED", "exit status 1", "COMMAND_EXECUTION_ERROR")
    made.begin("COMPLETED")
    made.status, made.ended = "FAILED", 1504239200.0
    made.exported = {"RESULT": "none"}
    return made


def test_the_record_has_the_form_of_the_api() -> None:
    model = get_session().get_service_model("codebuild")
    report = ParamValidator().validate(finished().record(), model.shape_for("Build"))
    assert report.generate_report() == ""


def test_a_phase_ends_when_the_next_begins() -> None:
    phases = finished().record()["phases"]
    assert [(p["phaseType"], p.get("phaseStatus")) for p in phases] == [
        ("SUBMITTED", "SUCCEEDED"),
        ("QUEUED", "SUCCEEDED"),
        ("BUILD", "FAILED"),
        ("COMPLETED", None),
    ]


def test_the_event_says_what_a_build_state_change_says() -> None:
    event = finished().event()
    information = event["additional-information"]
    assert event["build-status"] == "FAILED"
    assert event["build-id"].startswith("arn:aws:codebuild:")
    assert event["current-phase"] == "COMPLETED"
    assert information["build-complete"] is True
    assert information["build-start-time"] == "Sep 1, 2017 4:12:29 AM"
    assert {"name": "CTS_RUN_ID", "value": "web-1", "type": "PLAINTEXT"} in information[
        "environment"
    ]["environment-variables"]
    assert information["logs"]["group-name"] == "/aws/codebuild/cts"
    assert information["phases"][2]["phase-context"] == ["COMMAND_EXECUTION_ERROR: exit status 1"]
    assert information["exported-environment-variables"] == [
        {"name": "RESULT", "value": "none", "type": "PLAINTEXT"}
    ]


def test_an_unfinished_build_is_not_complete() -> None:
    event = build().event()
    assert event["build-status"] == "IN_PROGRESS"
    assert event["additional-information"]["build-complete"] is False
