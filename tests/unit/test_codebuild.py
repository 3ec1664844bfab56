"""The driver `terraform`: the parameters it sends are checked against the service's own model."""

import hashlib
import json
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.stub import ANY, Stubber

from cts.adapters.bucket import Bucket
from cts.adapters.build_records import BuildStatus
from cts.adapters.codebuild import CodeBuild
from cts.errors import Invalid, NoBuildsAllowed, Refused, Unavailable
from cts.run.news import Heard
from cts.terraform.archive import zipped
from tests.fakes import RUN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ARCHIVE = zipped({"main.tf": ""})
EVENTS = Path(__file__).parents[2] / "events"


class Stubbed:
    def __init__(self) -> None:
        client = boto3.client(
            "codebuild",
            region_name="eu-west-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.stub = Stubber(client)
        bucket = Bucket(cast("S3Client", None), "work")
        self.driver = CodeBuild(client, "cts-terraform", bucket, lambda: 0.0)

    def refuses(self, code: str, message: str = "", status: int = 400) -> None:
        self.stub.add_client_error("start_build", code, message, http_status_code=status)


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    made = Stubbed()
    with made.stub:
        yield made
    made.stub.assert_no_pending_responses()


def expected(**other: Any) -> dict[str, Any]:
    return {
        "projectName": "cts-terraform",
        "idempotencyToken": ANY,
        "sourceTypeOverride": "S3",
        "sourceLocationOverride": "work/builds/f01de4/archive.zip",
        "environmentVariablesOverride": [
            {"name": "CTS_TASK", "value": "web", "type": "PLAINTEXT"},
            {"name": "CTS_RUN_ID", "value": RUN.id, "type": "PLAINTEXT"},
            {"name": "CTS_CORRELATION_ID", "value": "c-1", "type": "PLAINTEXT"},
        ],
        **other,
    }


def test_a_build_gets_exactly_this_archive(stubbed: Stubbed) -> None:
    stubbed.stub.add_response("start_build", {"build": {"id": "cts-terraform:1"}}, expected())
    assert stubbed.driver.start(RUN, ARCHIVE) == "cts-terraform:1"


def test_an_error_does_not_name_the_folder_of_the_credentials(stubbed: Stubbed) -> None:
    stubbed.refuses("InvalidInputException", "no source at work/builds/f01de4/archive.zip")
    with pytest.raises(Refused, match=r"no source at work/builds/\*\*\*/archive.zip") as error:
        stubbed.driver.start(RUN, ARCHIVE)
    assert "f01de4" not in "".join(traceback.format_exception(error.value))


def test_the_same_run_is_started_with_the_same_token(stubbed: Stubbed) -> None:
    token = hashlib.sha256(RUN.id.encode()).hexdigest()
    for _ in range(2):
        stubbed.stub.add_response(
            "start_build", {"build": {"id": "b"}}, expected(idempotencyToken=token)
        )
        stubbed.driver.start(RUN, ARCHIVE)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDeniedException", 400, Refused),
        ("ResourceNotFoundException", 400, Refused),
        ("ThrottlingException", 400, Unavailable),
        ("InternalServiceError", 500, Unavailable),
        ("AccountLimitExceededException", 400, Unavailable),
    ],
)
def test_errors_by_what_trying_again_helps(
    stubbed: Stubbed, code: str, status: int, error: type[Exception]
) -> None:
    stubbed.refuses(code, "the reason", status)
    with pytest.raises(error, match=f"starting the build of run {RUN.id}.*the reason"):
        stubbed.driver.start(RUN, ARCHIVE)


@pytest.mark.parametrize("code", ["InvalidInputException", "ResourceNotFoundException"])
def test_what_a_deployment_refuses_is_not_our_mistake(stubbed: Stubbed, code: str) -> None:
    stubbed.refuses(code, "CodeBuild is not authorized to perform: sts:AssumeRole")
    with pytest.raises(Refused) as error:
        stubbed.driver.start(RUN, ARCHIVE)
    assert not isinstance(error.value, Invalid)


def test_a_request_that_is_wrong_is_our_mistake(stubbed: Stubbed) -> None:
    stubbed.stub.deactivate()  # botocore refuses it before anything is sent
    with pytest.raises(Invalid, match="starting the build of run"):
        stubbed.driver.start(replace(RUN, correlation=7), ARCHIVE)  # type: ignore[arg-type]


def test_an_account_that_may_build_nothing_is_told_what_to_do(stubbed: Stubbed) -> None:
    stubbed.refuses(
        "AccountLimitExceededException",
        "Cannot have more than 0 builds in queue for the account",
    )
    with pytest.raises(NoBuildsAllowed, match="open a case with AWS Support"):
        stubbed.driver.start(RUN, ARCHIVE)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("QUEUED", BuildStatus(build="b", goes_on=True)),
        ("IN_PROGRESS", BuildStatus(build="b", goes_on=True)),
        ("SUCCEEDED", BuildStatus(build="b", ended_as="SUCCEEDED")),
        ("FAILED", BuildStatus(build="b", ended_as="FAILED")),
        ("FAULT", BuildStatus(build="b", ended_as="FAULT")),
        ("TIMED_OUT", BuildStatus(build="b", ended_as="TIMED_OUT")),
        ("STOPPED", BuildStatus(build="b", ended_as="STOPPED")),
        (None, BuildStatus(build="b")),
    ],
)
def test_a_builds_status(stubbed: Stubbed, word: str | None, status: BuildStatus) -> None:
    builds = [{"id": "b", "buildStatus": word}] if word else []
    stubbed.stub.add_response("batch_get_builds", {"builds": builds}, {"ids": ["b"]})
    assert stubbed.driver.status("b") == status


def test_the_sample_event_is_read() -> None:
    event = json.loads((EVENTS / "tracker-build-state-change.json").read_text())
    assert CodeBuild.heard(event) == Heard(
        task="firewall",
        run="firewall-20261124T090100-4f1a2b",
        told=BuildStatus(
            build="cts-terraform:8745a7a9-c340-456a-9166-edf953571bec", ended_as="SUCCEEDED"
        ),
    )
    event["detail"]["additional-information"]["environment"]["environment-variables"] = []
    assert CodeBuild.heard(event) is None
    assert CodeBuild.heard({"detail-type": "Scheduled Event"}) is None
