"""The local port: which requests it refuses, and how it passes the others on."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from ipaddress import ip_address
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.run.state import TaskState
from cts_cli import aws, client, proxy
from cts_cli.errors import CommandError, NoCredentials
from tests.unit.api_fakes import ANN
from tests.unit.cli_fakes import API, READER, Account, cts, deployed
from tests.unit.reader_fakes import success

LOCAL = {"Host": "localhost:8558"}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = deployed(monkeypatch)
    account.world.add(TaskState("web", recent=(success("web"),)))
    account.world.read_services("web")
    return account


@dataclass
class Server:
    """All of a proxy but its port, which unit tests can't connect to."""

    http: httpx.Client
    bases: Mapping[bool, str]

    def __init__(self) -> None:
        self.bases = {True: READER.rstrip("/"), False: API.rstrip("/")}
        self.http = client.signing(aws.find_stack("cts").session, proxy.TIMEOUT)


def raw(text: bytes) -> HTTPResponse:
    """The answer to the bytes of a request, read to its end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(text)
        ours.shutdown(socket.SHUT_WR)
        server: Any = Server()
        proxy.Handler(theirs, ("127.0.0.1", 1), server)
        theirs.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(ours, method=text.partition(b" ")[0].decode("latin-1"))
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
    return answer


def ask(
    method: str, path: str, headers: Mapping[str, str] = LOCAL, body: str = ""
) -> tuple[int, Any]:
    """The answer's status and its JSON."""
    given = {**headers, "Content-Length": str(len(body))} if body else headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    answer = raw("\r\n".join([*lines, "", body]).encode())
    return answer.status, json.loads(answer.body)  # type: ignore[attr-defined]


# ---- what is passed on --------------------------------------------------------------------


def test_a_script_for_cts_reads_the_status(account: Account) -> None:
    code, found = ask("GET", "/v1/status/tasks/web?include=events")
    assert (code, found["web"]["status"], len(found["web"]["events"])) == (200, "successful", 1)
    sent = account.requests[-1]
    assert str(sent.url) == f"{READER}v1/status/tasks/web?include=events"
    assert "Credential=AKID/" in sent.headers["authorization"]


def test_an_error_of_the_stack_stays_as_it_is(account: Account) -> None:
    code, found = ask("GET", "/v1/status/tasks/db")
    assert (code, "'db' does not exist" in found["error"]["message"]) == (404, True)


def test_a_change_goes_to_the_api_with_its_body(account: Account) -> None:
    body = '{"why": "the firewall is replaced"}'
    code, found = ask("POST", "/v1/tasks/web/hold", body=body)
    assert (code, found["hold"]["by"]) == (200, ANN)
    assert str(account.requests[-1].url) == f"{API}v1/tasks/web/hold"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_all_that_changes_goes_to_the_api(account: Account, method: str) -> None:
    ask(method, "/v1/tasks/web")
    assert [str(each.url) for each in account.requests] == [f"{API}v1/tasks/web"]
    assert account.requests[0].method == method


def test_only_headers_that_the_api_reads_are_passed_on(account: Account) -> None:
    ask("GET", "/v1/status", {**LOCAL, "Prefer": "respond-async", "Cookie": "a=b"})
    sent = account.requests[-1].headers
    assert (sent["prefer"], sent["host"]) == ("respond-async", httpx.URL(READER).host)
    assert "cookie" not in sent


def test_an_escape_in_a_path_stays(account: Account) -> None:
    ask("GET", "/v1/tasks/a%2Fb?x=%20&run")
    assert str(account.requests[-1].url) == f"{READER}v1/tasks/a%2Fb?x=%20&run"


def test_several_requests_share_a_connection(account: Account) -> None:
    one = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw(one * 3).status == 200
    assert len(account.requests) == 3


# ---- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "attacker.example:8558"}, id="a-name-that-resolves-to-us"),
        pytest.param({"Host": "localhost.attacker.example"}, id="a-name-that-begins-like-ours"),
        pytest.param({"Host": "127.0.0.1@attacker.example"}, id="a-user"),
        pytest.param({}, id="no-host"),
        pytest.param({**LOCAL, "Origin": "https://attacker.example"}, id="another-site"),
        pytest.param({**LOCAL, "Origin": "http://localhost:3000"}, id="another-local-port"),
        pytest.param({**LOCAL, "Origin": "null"}, id="a-sandbox"),
        pytest.param({**LOCAL, "Sec-Fetch-Site": "cross-site"}, id="an-image-of-a-page"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_web_pages_are_refused(account: Account, headers: dict[str, str], method: str) -> None:
    code, found = ask(method, "/v1/tasks/web/run", headers)
    assert (code, "refused" in found["error"]["message"]) == (403, True)
    assert account.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8558", "[::1]:8558"])
def test_the_loopback_names_are_accepted(account: Account, host: str) -> None:
    assert ask("GET", "/v1/status", {"Host": host, "Sec-Fetch-Site": "none"})[0] == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "6000001"}, 413),
    ],
)
def test_a_body_of_unknown_or_too_great_length_is_refused(
    account: Account, headers: dict[str, str], code: int
) -> None:
    assert ask("POST", "/v1/tasks", {**LOCAL, **headers})[0] == code
    assert account.requests == []


@pytest.mark.parametrize("path", ["http://169.254.169.254/", "@attacker.example/", "v1/status"])
def test_only_paths_are_passed_on(account: Account, path: str) -> None:
    assert ask("GET", path)[0] == 400
    assert account.requests == []


@pytest.mark.parametrize("text", [b"FOO / HTTP/1.1\r\n\r\n", b"GET\r\n\r\n", b"\xff\n"])
def test_a_malformed_request_is_an_error_in_the_shape_of_cts(account: Account, text: bytes) -> None:
    answer = raw(text)
    assert answer.status == (405 if text.startswith(b"FOO") else 400)
    assert json.loads(answer.body)["error"]["message"]  # type: ignore[attr-defined]
    assert account.requests == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectError("connection refused"), "can't be reached: connection refused"),
        (NoCredentials(), "no AWS credentials: set AWS_PROFILE"),
    ],
)
def test_a_stack_that_does_not_answer_is_an_error_in_the_shape_of_cts(
    account: Account, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(fail))
    code, found = ask("GET", "/v1/status")
    assert (code, said in found["error"]["message"]) == (502, True)


# ---- the port -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("127.0.0.1:8558", ("127.0.0.1", 8558)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("127.0.0.2:80", ("127.0.0.2", 80)),
        ("[::1]:8558", ("::1", 8558)),
    ],
)
def test_a_loopback_address_is_listened_on(listen: str, found: tuple[str, int]) -> None:
    assert proxy.address(listen) == found


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:8558", "[::]:8558", "10.0.0.1:8558", "example.com:8558", ":8558", "8558", "", "[::1"],
)
def test_another_address_is_refused(account: Account, listen: str) -> None:
    result = cts("proxy", "--listen", listen)
    assert (result.exit_code, "127.0.0.1" in result.stderr) == (2, True)


@pytest.mark.slow
@given(st.text())
def test_no_text_is_a_crash(listen: str) -> None:
    try:
        host, port = proxy.address(listen)
    except CommandError:
        return
    assert ip_address(host).is_loopback
    assert 0 <= port < 65536


def test_a_port_in_use_is_told(account: Account) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = cts("proxy", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (result.exit_code, "if CTS still runs there, stop it" in result.stderr) == (2, True)


def test_an_older_stack_is_told(account: Account) -> None:
    outputs = account.stacks["cts"]
    account.stacks["cts"] = {name: outputs[name] for name in outputs if name != "ApiUrl"}
    result = cts("proxy")
    assert (result.exit_code, "older than this command" in result.stderr) == (2, True)
