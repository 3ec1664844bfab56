"""Answers that are not from AWS, or not whole: botocore takes some of them for an empty one."""

import io
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from cts.adapters import clients
from cts.adapters.bucket import Bucket
from cts.adapters.codebuild import CodeBuild
from cts.adapters.sessions import Sessions
from cts.adapters.table import Table
from cts.errors import Unavailable
from cts.run.state import TaskState
from cts_cli import aws
from cts_cli.errors import CommandError
from tests.fakes import RUN
from tests.unit.cli_fakes import cts

PAGE = b"<html><br>sign in</html>"
OTHERS = [
    pytest.param(200, b"", id="nothing"),
    pytest.param(200, b"{}", id="an-empty-object"),
    pytest.param(200, b"<html>sign in</html>", id="a-page-that-is-xml"),
    pytest.param(200, PAGE, id="a-page"),
    pytest.param(302, b"", id="a-redirect"),
    pytest.param(403, PAGE, id="a-refusal"),
]
OF_A_PROXY = {"x-amz-cf-id": "1", "x-amz-cf-pop": "X1"}
"""What CloudFront adds to each page that is behind it."""
FROM_AWS = {"x-amzn-RequestId": "1"}


class Raw(io.BytesIO):
    def stream(self, **_: Any) -> list[bytes]:
        return [self.read()]


class Answers:
    """What each request of the session's clients is answered with."""

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.status, self.body, self.headers = 200, b"", dict[str, str]()
        answer: Any = self._answer  # botocore's types know no handler that returns something
        session.events.register("before-send", answer)
        self.client: Callable[[str], Any] = cache(session.client)

    def are(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(
            request.url, self.status, HTTPHeaders.from_dict(self.headers), Raw(self.body)
        )


@pytest.fixture(scope="module", autouse=True)
def _account() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, "eu-west-1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        yield


@pytest.fixture(scope="module")
def functions(_account: None) -> Answers:
    return Answers(clients.session.__wrapped__())


@pytest.fixture(scope="module")
def command(_account: None) -> Answers:
    return Answers(aws.session())


def table(of: Answers) -> Table:
    return Table(of.client("dynamodb"), "cts", run_days=30)


def bucket(of: Answers) -> Bucket:
    return Bucket(of.client("s3"), "work")


def sessions(of: Answers) -> Sessions:
    return Sessions(of.client("sts"), "arn:aws:iam::1:role/task", bucket(of))


def builds(of: Answers) -> CodeBuild:
    return CodeBuild(of.client("codebuild"), "cts-terraform", bucket(of), lambda: 0.0)


CALLS: dict[str, Callable[[Answers], object]] = {
    "reads-an-item": lambda of: table(of).state("web"),
    "writes-an-item": lambda of: table(of).put_state(TaskState("web")),
    "reads-an-object": lambda of: bucket(of).archive("web", "web-1"),
    "assumes-a-role": lambda of: sessions(of).credentials(RUN),
    "asks-for-a-build": lambda of: builds(of).status("cts-terraform:1"),
}


@pytest.mark.parametrize(("status", "body"), OTHERS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_answer_that_is_not_from_aws_is_asked_for_again(
    functions: Answers, call: Callable[[Answers], object], status: int, body: bytes
) -> None:
    for headers in ({}, OF_A_PROXY):
        functions.are(status, body, headers)
        with pytest.raises(Unavailable, match=f"HTTP {status}, is not from AWS"):
            call(functions)


def test_an_object_counts_as_stored_if_aws_says_so(functions: Answers) -> None:
    functions.are(200, b"")
    with pytest.raises(Unavailable, match="HTTP 200, is not from AWS"):
        bucket(functions).put_archive("web", "web-1", b"x")
    functions.are(200, b"", {"x-amz-request-id": "1"})
    bucket(functions).put_archive("web", "web-1", b"x")


@pytest.mark.parametrize("name", ["x-amzn-RequestId", "x-amzn-request-id", "x-amz-request-id"])
def test_an_item_is_missing_if_aws_says_so(functions: Answers, name: str) -> None:
    functions.are(200, b"{}", {name: "1"})
    assert table(functions).state("web") == TaskState("web")


def test_half_an_answer_is_asked_for_again(functions: Answers) -> None:
    functions.are(200, b"<AssumeRole><SecretAccessKey>s3cr3t<", FROM_AWS)
    with pytest.raises(Unavailable, match=r"assuming the role .*: the answer can't be") as error:
        sessions(functions).credentials(RUN)
    assert "s3cr3t" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize(("status", "body"), OTHERS)
def test_the_command_says_that_an_answer_is_not_from_aws(
    command: Answers, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    command.are(status, body)
    monkeypatch.setattr(aws, "session", lambda: command.session)
    result = cts("status")
    told = f"cts: looking for stack 'cts': the answer, HTTP {status}, is not from AWS: look for"
    assert (result.exit_code, result.stderr.startswith(told)) == (2, True), result.stderr


def test_the_command_says_that_an_answer_is_not_whole(command: Answers) -> None:
    command.are(200, b"<Describe", FROM_AWS)
    with (
        pytest.raises(CommandError, match=r"^looking: the answer can't be read: it is not whole"),
        aws.explaining_errors("looking"),
    ):
        command.client("cloudformation").describe_stacks(StackName="cts")


def test_the_local_stack_is_named_where_it_may_lack_a_service(
    command: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.are(400, b"")
    lacks = "the local stack does not have this service"
    for endpoint, told in (("", ".* is not from AWS.*"), ("http://127.0.0.1:1", lacks)):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with (
            pytest.raises(CommandError, match=f"^looking: {told}$"),
            aws.explaining_errors("looking"),
        ):
            command.client("service-quotas").list_service_quotas(ServiceCode="codebuild")
