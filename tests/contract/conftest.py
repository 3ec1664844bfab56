"""One suite per port, passed by fake and adapter alike. Adapters talk to an emulator of AWS.

Each process that runs some of them starts one emulator.
"""

import functools
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

from cts.adapters.bucket import Bucket
from cts.adapters.table import Table
from tests.fakes import FakeBucket, FakeTable

STARTS_WITHIN = 60.0
BOTH = ["fake", "adapter"]
NAMES = itertools.count(1)

Client = Callable[[str], Any]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of an emulator that lives as long as the tests: one of each service, since reading
    what botocore knows of a service takes longer than most of the tests."""
    folder, port = tmp_path_factory.mktemp("aws"), free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": endpoint,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "ERROR",
        "MINISTACK_HOST": "127.0.0.1",
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", "from ministack.app import main; main()"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(port, process, folder / "log")
        yield functools.cache(lambda service: _client(service, endpoint))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    pytest.fail(f"the emulator did not start:\n{log.read_text()[-2000:]}")


def _client(service: str, endpoint: str) -> Any:
    return Session().create_client(
        service,
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@pytest.fixture(params=BOTH)
def table(request: pytest.FixtureRequest) -> FakeTable | Table:
    if request.param == "fake":
        return FakeTable()
    client, name = request.getfixturevalue("aws")("dynamodb"), f"table-{next(NAMES)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": "S"}
            for key in ("pk", "sk", "kind", "started_at")
        ],
        KeySchema=_keys("pk", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "runs-by-start",
                "KeySchema": _keys("kind", "started_at"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return Table(client, name)


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


@pytest.fixture(params=BOTH)
def bucket(request: pytest.FixtureRequest) -> FakeBucket | Bucket:
    if request.param == "fake":
        return FakeBucket()
    return Bucket(request.getfixturevalue("aws")("s3"), request.getfixturevalue("work_bucket"))


@pytest.fixture
def work_bucket(aws: Client) -> str:
    """The name of an empty one, with versions."""
    client, name = aws("s3"), f"work-{next(NAMES)}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    versioning = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
    return name
