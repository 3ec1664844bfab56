"""An AWS account for the command: its stack, its bucket, and the real reader behind the URL."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from cts_cli import aws, client, main, words
from functions.reader import app
from tests.unit.reader_fakes import NOW, VERSION, World, call

READER = "https://0123456789abcdef.lambda-url.eu-west-1.on.aws/"
OUTPUTS = {"ReaderUrl": READER, "WorkBucket": "work"}


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass
class Account:
    """Serves as session and as the clients the session makes."""

    world: World = field(default_factory=World)
    stacks: dict[str, dict[str, str]] = field(default_factory=lambda: {"cts": OUTPUTS})
    region_name: str | None = "eu-west-1"
    credentials: Credentials | None = field(default_factory=lambda: Credentials("AKID", "secret"))
    newest: str = VERSION
    pushed: list[bytes] = field(default_factory=list)
    error: Exception | None = None
    """What every call of AWS raises."""
    interrupted: bool = False
    """Whether Ctrl-C comes with the first request to the reader."""
    requests: list[httpx.Request] = field(default_factory=list)

    def client(self, _service: str) -> "Account":
        return self

    def get_credentials(self) -> Credentials | None:
        return self.credentials

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        self._maybe_fail()
        if StackName not in self.stacks:
            raise refused("ValidationError", f"Stack with id {StackName} does not exist")
        outputs = [{"OutputKey": k, "OutputValue": v} for k, v in self.stacks[StackName].items()]
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> dict[str, str]:  # noqa: N803
        assert (Bucket, Key) == ("work", "config/bundle.zip")
        self.pushed.append(Body)
        return {"VersionId": VERSION}

    def head_object(self, Bucket: str, Key: str) -> dict[str, str]:  # noqa: N803
        self._maybe_fail()
        return {"VersionId": self.newest}

    def _maybe_fail(self) -> None:
        if self.error is not None:
            raise self.error

    def read(self, request: httpx.Request) -> httpx.Response:
        if self.interrupted:
            raise KeyboardInterrupt
        self.requests.append(request)
        code, kind, body = call(str(request.url), request.method)
        return httpx.Response(code, headers={"content-type": kind}, text=body)


def deployed(monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account that the command finds, at the time NOW."""
    account = Account()
    for name in ("AWS_ENDPOINT_URL", "CTS_STACK", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(aws, "session", lambda: account)
    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(account.read))
    monkeypatch.setattr(app, "ports", lambda: account.world.ports)
    monkeypatch.setattr(words, "now", lambda: datetime.fromtimestamp(NOW, UTC))
    return account


def cts(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.app, [str(each) for each in arguments])


def lines(text: str) -> list[str]:
    """Printed lines, with blanks evened out."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
