"""An AWS account for the command: its stack, its bucket, its secrets, and the real reader behind
the URL."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from threading import Lock
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from rich.text import Text
from typer import testing
from typer.main import get_command
from typer.testing import CliRunner, Result

import cts_cli
from cts import keys
from cts.config import bundle
from cts.config.blocks.schema import Group
from cts.workflow.edit_steps import EditPorts
from cts.workflow.publish import PublishPorts, publish
from cts.workflow.tasks import TaskPorts
from cts_cli import aws, client, main, waits, words
from functions.api import app as api
from functions.reader import app
from tests.fake_api_tasks import FakeApiTasks
from tests.fakes import FakeBus, FakeMetrics
from tests.unit.api_fakes import ANN, FakePublisher, event, invoke
from tests.unit.publisher import SECONDS
from tests.unit.reader_fakes import NOW, World, call

testing._get_command = cache(get_command)  # type: ignore[attr-defined]  # or built each time
for _module in iter_modules(cts_cli.__path__):
    # Commands import what they need: if first in a slow test, which isn't traced, it isn't covered.
    import_module(f"cts_cli.{_module.name}")

SANDBOX = Lock()
"""It serves one request at a time."""
READER = "https://0123456789abcdef.lambda-url.eu-west-1.on.aws/"
API = "https://fedcba9876543210.lambda-url.eu-west-1.on.aws/"
CONSUL = "https://consul.example.com:8501"
SECRETS = {group: f"arn:{group}" for group in Group}
OUTPUTS = {
    "ReaderUrl": READER,
    "ApiUrl": API,
    "WorkBucket": "work",
    **{f"{group.capitalize()}Secret": arn for group, arn in SECRETS.items()},
}


TASK = """
task {{
  name   = "{name}"
  module = "./modules/m"
  condition "services" {{
    names = ["{service}"]
  }}
}}
"""


def task(name: str, service: str = "web") -> str:
    return TASK.format(name=name, service=service)


def folder(at: Path, *blocks: str) -> Path:
    """A configuration of these blocks, with the module of its tasks."""
    (at / "modules/m").mkdir(parents=True, exist_ok=True)
    (at / "modules/m/main.tf").write_text('variable "services" {}\n')
    (at / "tasks.hcl").write_text("".join(blocks))
    return at


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@dataclass
class Vault:
    """Secrets Manager, as far as versions and their labels go: as AWS documents it."""

    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    """ARN -> version -> text."""
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    """ARN and label -> version."""
    before_move: list[Callable[[], None]] = field(default_factory=list)
    """What others do before a label is moved: each once."""

    def held(self, arn: str) -> Any:
        """The JSON of the current version."""
        return json.loads(self.versions[arn][self.labels[arn, "AWSCURRENT"]])

    def write(self, arn: str, text: str) -> None:
        self.put_secret_value(arn, text, ["AWSCURRENT"])

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        version = self.labels.get((SecretId, "AWSCURRENT"))
        if version is None:
            raise refused("ResourceNotFoundException", "no value")
        return {
            "VersionId": version,
            "SecretString": self.versions[SecretId][version],
            "CreatedDate": datetime.fromtimestamp(NOW - 3600, UTC),
        }

    def put_secret_value(
        self,
        SecretId: str,  # noqa: N803
        SecretString: str,  # noqa: N803
        VersionStages: list[str],  # noqa: N803
    ) -> dict[str, Any]:
        held = self.versions.setdefault(SecretId, {})
        version = f"v{len(held) + 1}"
        stages = [*VersionStages, *(["AWSCURRENT"] if not held else [])]
        held[version] = SecretString
        self.labels |= {(SecretId, stage): version for stage in stages}
        return {"VersionId": version, "VersionStages": stages}

    def update_secret_version_stage(
        self,
        SecretId: str,  # noqa: N803
        VersionStage: str,  # noqa: N803
        MoveToVersionId: str,  # noqa: N803
        RemoveFromVersionId: str | None = None,  # noqa: N803
    ) -> None:
        if self.before_move:
            self.before_move.pop(0)()
        if self.labels.get((SecretId, VersionStage)) != RemoveFromVersionId:
            raise refused("InvalidParameterException", "attached to another version")
        self.labels[SecretId, VersionStage] = MoveToVersionId


@dataclass
class Account(Vault):
    """Serves as session and as the clients the session makes. The publisher answers at once."""

    world: World = field(default_factory=World)
    bus: FakeBus = field(default_factory=FakeBus)
    api_tasks: FakeApiTasks = field(default_factory=FakeApiTasks)
    stacks: dict[str, dict[str, str]] = field(default_factory=lambda: {"cts": OUTPUTS})
    parameters: dict[str, str] = field(default_factory=lambda: {"ConsulAddress": CONSUL})
    region_name: str | None = "eu-west-1"
    credentials: Credentials | None = field(default_factory=lambda: Credentials("AKID", "secret"))
    newer: str = ""
    """The version of a push that came after ours."""
    pushed: list[bytes] = field(default_factory=list)
    before_put: list[Callable[[], object]] = field(default_factory=list)
    """What others do before a bundle is put: each once."""
    may_look: bool = True
    """At the bundle that was pushed last."""
    may_read_secrets: bool = True
    expired: set[str] = field(default_factory=set)
    """Versions of the bundle that are kept no more."""
    publisher: bool = True
    """Whether it is there."""
    error: Exception | None = None
    """What every call of AWS raises."""
    interrupted: bool = False
    """Whether Ctrl-C comes when a push, or a run, is waited for."""
    requests: list[httpx.Request] = field(default_factory=list)
    user: str = ANN
    """Who signs requests."""
    clock: float = NOW - 201

    def client(self, _service: str) -> "Account":
        return self

    def now(self) -> float:
        self.clock += 1
        return self.clock

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        if not self.may_read_secrets:
            raise refused("AccessDeniedException", "not authorized")
        return Vault.get_secret_value(self, SecretId)

    def get_credentials(self) -> Credentials | None:
        return self.credentials

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        self._maybe_fail()
        if StackName not in self.stacks:
            raise refused("ValidationError", f"Stack with id {StackName} does not exist")
        outputs = [{"OutputKey": k, "OutputValue": v} for k, v in self.stacks[StackName].items()]
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in self.parameters.items()]
        stack = {"StackStatus": "CREATE_COMPLETE", "Outputs": outputs, "Parameters": given}
        return {"Stacks": [stack]}

    def put_object(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        IfMatch: str = "",  # noqa: N803
        IfNoneMatch: str = "",  # noqa: N803
    ) -> dict[str, str]:
        assert (Bucket, Key) == ("work", keys.BUNDLE)
        if self.before_put:
            self.before_put.pop(0)()
        if (IfMatch and IfMatch != self._etag()) or (IfNoneMatch and self._etag()):
            raise refused("PreconditionFailed", "at least one of the conditions did not hold")
        self.pushed.append(Body)
        version = self.world.bucket.write(Key, Body)
        if self.publisher:
            self.publish()
        return {"VersionId": version}

    def was_pushed(self, conf: Path) -> None:
        """The folder was pushed before, without what the command does first."""
        found = [path for path in conf.rglob("*") if path.is_file()]
        files = {str(path.relative_to(conf)): path.read_bytes() for path in found}
        self.put_object("work", keys.BUNDLE, bundle.archive(files))

    def publish(self) -> None:
        """What the publisher does."""
        publish(self.publish_ports(), SECONDS)

    def publish_ports(self) -> PublishPorts:
        table, bucket = self.world.table, self.world.bucket
        return PublishPorts(
            sources=bucket,
            api_tasks=self.api_tasks,
            attempts=table,
            published=table,
            tasks=table,
            objects=bucket,
            bus=self.bus,
            now=self.now,
            environment={"CONSUL_HTTP_ADDR": CONSUL},
            metrics=FakeMetrics(),
        )

    def get_object(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        VersionId: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        stored = self.world.bucket.objects.get(Key, [])
        if not stored or VersionId in self.expired:
            raise refused("NoSuchVersion" if VersionId else "NoSuchKey", "gone")
        body = stored[int(VersionId or 0) - 1]
        return {"Body": io.BytesIO(body), "LastModified": datetime.fromtimestamp(NOW, UTC)}

    def head_object(self, Bucket: str, Key: str) -> dict[str, str]:  # noqa: N803
        self._maybe_fail()
        if not self.may_look:
            raise refused("403", "Forbidden")
        if not self._etag():
            raise refused("404", "Not Found")
        is_newer = self.newer and self.pushed
        version = self.newer if is_newer else str(len(self.world.bucket.objects[Key]))
        return {"VersionId": version, "ETag": self._etag()}

    def _etag(self) -> str:
        """Of the bundle; empty if there is none."""
        stored = self.world.bucket.objects.get(keys.BUNDLE)
        return hashlib.md5(stored[-1]).hexdigest() if stored else ""

    def api_ports(self) -> EditPorts:
        table, bucket = self.world.table, self.world.bucket
        asking = TaskPorts(
            tasks=table,
            live=table,
            generations=bucket,
            definitions=bucket,
            records=bucket,
            bus=self.bus,
            metrics=FakeMetrics(),
            now=lambda: NOW,
        )
        changes = FakePublisher(self.publish_ports())
        return EditPorts(
            asking=asking, publisher=changes, runs=table, logs=bucket, sleep=lambda _: None
        )

    def _maybe_fail(self) -> None:
        if self.error is not None:
            raise self.error

    def read(self, request: httpx.Request) -> httpx.Response:
        if self.interrupted and (self.pushed or "/runs/" in str(request.url)):
            raise KeyboardInterrupt
        self.requests.append(request)
        if str(request.url).startswith(API):
            asked = event(str(request.url), request.method, request.content.decode(), self.user)
            code, found = invoke(asked)
            return httpx.Response(code, json=found)
        with SANDBOX:
            code, kind, body = call(str(request.url), request.method)
        return httpx.Response(code, headers={"content-type": kind}, text=body)


def deployed(monkeypatch: pytest.MonkeyPatch, account: Account | None = None) -> Account:
    """An account that the command finds, at the time NOW."""
    account = account or Account()
    for name in ("AWS_ENDPOINT_URL", "CTS_STACK", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)  # nothing can be kept
    monkeypatch.setattr(aws, "session", lambda: account)
    monkeypatch.setattr(client, "transport", lambda: httpx.MockTransport(account.read))
    monkeypatch.setattr(app, "ports", lambda: account.world.ports)
    monkeypatch.setattr(api, "ports", account.api_ports)
    monkeypatch.setattr(waits, "every", lambda _seconds, _at_most=0.0: range(2))
    monkeypatch.setattr(words, "now", lambda: datetime.fromtimestamp(NOW, UTC))
    return account


def cts(*arguments: str | Path, typed: str = "") -> Result:
    return CliRunner().invoke(main.app, [str(each) for each in arguments], input=typed)


def lines(text: str) -> list[str]:
    """Printed lines, with blanks evened out."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def in_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Output is written as for a terminal of that width."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))


def plain(text: str) -> str:
    """What a terminal shows of it, without colours."""
    return Text.from_ansi(text).plain
