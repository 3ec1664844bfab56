"""How the command finds the stack and calls the reader."""

from collections.abc import Callable

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from cts_cli import aws, client
from cts_cli.errors import CommandError, NoCredentials, NotFound
from tests.unit.cli_fakes import READER, Account, cts, deployed, refused

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return deployed(monkeypatch)


def reader(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> client.Reader:
    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(answer))
    return client.Reader.of(aws.find_stack("cts"), pause=lambda _seconds: None)


# ---- the stack ----------------------------------------------------------------------------


def test_the_stack_is_found_by_its_outputs(account: Account) -> None:
    found = aws.find_stack("cts")
    assert (found.reader_url, found.work_bucket) == (READER, "work")


def test_a_missing_stack_is_told_with_its_region(account: Account) -> None:
    with pytest.raises(CommandError, match=r"stack 'x' not found in eu-west-1: deploy it"):
        aws.find_stack("x")


def test_a_stack_of_another_program_is_told(account: Account) -> None:
    account.stacks["x"] = {"WorkBucket": "work"}
    with pytest.raises(CommandError, match=r"'x' \(CREATE_COMPLETE\) has no output ReaderUrl"):
        aws.find_stack("x")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(NoCredentialsError(), "no AWS credentials: set AWS_PROFILE", id="credentials"),
        pytest.param(
            refused("AccessDenied", "not authorized to perform cloudformation:DescribeStacks"),
            "looking for stack 'cts': access denied: not authorized",
            id="access-denied",
        ),
        pytest.param(
            refused("ExpiredToken", "The security token has expired"),
            "ExpiredToken: The security token has expired: renew your AWS credentials",
            id="expired",
        ),
        pytest.param(
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
            "looking for stack 'cts': Could not connect",
            id="no-connection",
        ),
    ],
)
def test_what_aws_refuses_is_a_sentence(account: Account, error: Exception, said: str) -> None:
    account.error = error
    with pytest.raises(CommandError, match=said):
        aws.find_stack("cts")


def test_a_refused_connection_to_the_local_stack_names_its_likely_cause(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", local)

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(CommandError, match=r"refused; is `make local` running\? its ports change"):
        reader(monkeypatch, refuse).get("status")
    account.error = EndpointConnectionError(endpoint_url=local)
    with pytest.raises(CommandError, match=r"Could not connect.*; is `make local` running"):
        aws.find_stack("cts")


@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_region_is_told(monkeypatch: pytest.MonkeyPatch, *, empty: bool) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    if empty:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(CommandError, match="no AWS region: set AWS_REGION"):
        aws.find_stack("cts")


def test_the_region_is_the_one_the_aws_command_line_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert aws.session().region_name == "eu-west-3"


def test_an_unknown_profile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(CommandError, match="nobody"):
        aws.session()


def test_who_may_push_and_not_look_is_not_told_of_newer_pushes(account: Account) -> None:
    found = aws.find_stack("cts")
    account.error = refused("403", "Forbidden")
    assert found.newest_bundle() is None


# ---- the reader ---------------------------------------------------------------------------


def test_requests_are_signed_for_lambda(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{READER}v1/runs?task=a%20b&limit=1"
        scope = request.headers["authorization"].split("/", 1)[1]
        assert "/eu-west-1/lambda/aws4_request, SignedHeaders=host;x-amz-date" in scope
        return httpx.Response(200, json={"runs": []})

    assert reader(monkeypatch, answer).get("runs", task="a b", limit=1) == {"runs": []}


def test_an_emulator_is_connected_to_and_asked_for_what_was_signed() -> None:
    asked: list[httpx.Request] = []

    class Recorder(client.Emulated):
        def connected(self, request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", Recorder.connected)
        http = httpx.Client(transport=Recorder("http://127.0.0.1:4566"))
        http.get(f"{READER}v1/status?x=1")
    (request,) = asked
    assert str(request.url) == "http://127.0.0.1:4566/v1/status?x=1"
    assert request.headers["host"] == READER.split("/")[2]


def test_what_fails_for_a_passing_reason_is_asked_again(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [
        httpx.Response(429),
        httpx.Response(503, json={"error": {"message": "slow down"}}),
        httpx.Response(200, json={"ok": True}),
    ]
    assert reader(monkeypatch, lambda _: left.pop(0)).get("status") == {"ok": True}
    assert left == []


def test_a_reader_that_stays_out_of_reach_is_named(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(CommandError, match=r"the reader at https://0123.*: connection refused$"):
        reader(monkeypatch, answer).get("status")


@pytest.mark.parametrize(
    ("code", "body", "error", "said"),
    [
        (404, {"error": {"message": "no such run"}}, NotFound, "^no such run$"),
        (400, {"error": {"message": "bad limit"}}, CommandError, "^bad limit$"),
        (
            403,
            {"Message": "Forbidden"},
            CommandError,
            r"refused the request \(Forbidden\).*need the",
        ),
        (
            403,
            {"Message": "The security token included in the request is expired"},
            CommandError,
            r"request is expired\): renew your AWS credentials",
        ),
        (500, {"error": {"message": "x"}}, CommandError, "returned HTTP 500: x"),
        (502, "gateway", CommandError, 'returned HTTP 502: "gateway"'),
    ],
)
def test_an_error_answer_is_a_sentence(
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    body: object,
    error: type[CommandError],
    said: str,
) -> None:
    with pytest.raises(error, match=said):
        reader(monkeypatch, lambda _: httpx.Response(code, json=body)).get("status")


def test_without_credentials_nothing_is_asked(account: Account) -> None:
    account.credentials = None
    with pytest.raises(NoCredentials):
        client.Reader.of(aws.find_stack("cts"))


def test_a_clients_own_error_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that S3 gives to HEAD is a bare number."""
    with (
        pytest.raises(CommandError, match=r"^looking: access denied: Forbidden$"),
        aws.explaining_errors("looking"),
    ):
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")


def test_an_endpoint_that_is_no_url_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name, value in (("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "\x1b[2Jx")):
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=r"^looking for stack 'cts': Invalid endpoint"):
        aws.find_stack("cts")
    result = cts("status")
    assert (result.exit_code, "\x1b[2J" in result.stderr) == (2, False)
    assert "\\x1b[2Jx" in result.stderr


def test_a_setting_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_MAX_ATTEMPTS"):
        monkeypatch.setenv(name, "many")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(CommandError, match=r"'many' is not a number: correct your AWS settings"):
        aws.find_stack("cts")


def test_sessions_are_those_of_boto3() -> None:
    assert isinstance(aws.session(), boto3.Session)
