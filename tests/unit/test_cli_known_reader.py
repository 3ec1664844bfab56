"""`cts status` asks the reader that answered the last time, without CloudFormation."""

import json
import os
import pwd
from pathlib import Path

import httpx
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError

from cts_cli import client, known_reader
from tests.unit.cli_fakes import API, OUTPUTS, Account, cts, deployed, refused

NEW = "https://new.lambda-url.eu-west-1.on.aws/"
DENIED = refused("AccessDenied", "not authorized to perform cloudformation:DescribeStacks")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    """In which `cts status` has been run once."""
    made = deployed(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cts("status").exit_code == 0
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cts/readers.json"


def test_the_next_time_cloudformation_is_not_asked(account: Account) -> None:
    account.error = DENIED
    assert cts("status").exit_code == 0


def test_what_is_kept_names_no_key_and_is_for_its_user_alone(account: Account, file: Path) -> None:
    assert "AKID" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert list(file.parent.iterdir()) == [file]


def other_key(account: Account, _: pytest.MonkeyPatch) -> None:
    account.credentials = Credentials("OTHER", "secret")


def other_region(account: Account, _: pytest.MonkeyPatch) -> None:
    account.region_name = "us-east-1"


def other_endpoint(_: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")


def other_stack(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.stacks["other"] = OUTPUTS
    monkeypatch.setenv("CTS_STACK", "other")


@pytest.mark.parametrize("change", [other_key, other_region, other_endpoint, other_stack])
def test_others_are_asked_for(
    account: Account, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    assert callable(change)
    change(account, monkeypatch)
    account.error = DENIED
    assert "access denied" in cts("status").stderr
    account.error = None
    assert cts("status").exit_code == 0


def test_a_known_reader_that_fails_is_not_asked_again(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500, json={"error": {"message": "it is broken"}})

    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(fail))
    assert "it is broken" in cts("status").stderr
    assert len(asked) == 1


def gone(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no such host", request=request)


def forbidden(_: httpx.Request) -> httpx.Response:
    return httpx.Response(403, json={"Message": "Forbidden"})


def unknown(_: httpx.Request) -> httpx.Response:
    return httpx.Response(404, json={"Message": "Not Found"})


def of_another(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="hello")


@pytest.mark.parametrize("answer", [gone, forbidden, unknown, of_another])
def test_a_stack_that_was_deployed_again_is_found_again(
    account: Account, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    def read(request: httpx.Request) -> httpx.Response:
        assert callable(answer)
        is_new = str(request.url).startswith((NEW, API))
        found: httpx.Response = account.read(request) if is_new else answer(request)
        return found

    monkeypatch.setattr(client, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(read))
    account.stacks["cts"] = OUTPUTS | {"ReaderUrl": NEW}
    assert cts("status").exit_code == 0
    account.error = DENIED
    assert cts("status").exit_code == 0  # the new one is known


def test_the_error_is_that_of_the_stack(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(forbidden))
    assert "lambda:InvokeFunctionUrl" in cts("status").stderr
    del account.stacks["cts"]
    assert "stack 'cts' not found" in cts("status").stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"7", b'{"{key}": 7}', b'{"{key}": "https://[x"}'],
)
def test_what_can_t_be_read_is_written_anew(account: Account, file: Path, content: bytes) -> None:
    [key] = json.loads(file.read_bytes())
    file.write_bytes(content.replace(b"{key}", key.encode()))
    assert cts("status").exit_code == 0
    assert json.loads(file.read_bytes()) == {key: OUTPUTS["ReaderUrl"]}


def test_only_the_last_ones_are_kept(
    account: Account, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_reader, "MOST", 3)
    for number in range(5):
        account.credentials = Credentials(f"AKID{number}", "secret")
        assert cts("status").exit_code == 0
    assert len(json.loads(file.read_bytes())) == 3
    account.error = DENIED
    assert cts("status").exit_code == 0  # the last one is among them


def no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no name."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is where the file would be."""
    file = Path(os.environ["XDG_CACHE_HOME"], "cts/readers.json")
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("take", [no_folder, no_home, no_file])
def test_without_a_place_nothing_is_kept(
    account: Account, monkeypatch: pytest.MonkeyPatch, take: object, tmp_path: Path
) -> None:
    assert callable(take)
    take(monkeypatch)
    assert cts("status").exit_code == 0
    account.error = DENIED
    assert "access denied" in cts("status").stderr
    assert len([*tmp_path.rglob("*")]) <= 2  # nothing unfinished is left


def test_a_relative_folder_is_ignored(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cts("status").exit_code == 0
    assert (tmp_path / "home/.cache/cts/readers.json").exists()
    assert not (tmp_path / "here").exists()


def test_credentials_that_can_t_be_renewed_are_told(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Credentials) -> None:
        raise CredentialRetrievalError(provider="sso", error_msg="the session has expired")

    monkeypatch.setattr(Credentials, "get_frozen_credentials", fail)
    told = cts("status")
    assert told.exit_code == 2
    assert "reading the AWS credentials" in told.stderr
    assert "the session has expired" in told.stderr
