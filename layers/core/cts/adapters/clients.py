"""Clients of AWS, one of each for a function's whole life."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

import boto3
from botocore.config import Config

from cts.adapters.not_aws import refusing_others

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

PATIENCE = Config(
    connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
)
PATIENT = Config(connect_timeout=3, read_timeout=70, retries={"total_max_attempts": 1})
"""For a function that takes up to a minute."""
Client = TypeVar("Client")


class Later:
    """A client that is built on first use: building one costs tens of milliseconds, and a poller
    with nothing to write needs only DynamoDB."""

    def __init__(self, build: Callable[[], object]) -> None:
        self._build = build

    def __getattr__(self, name: str) -> object:
        return getattr(self._build(), name)


def later(build: Callable[[], Client]) -> Client:
    """What `build` returns, as far as its callers can see."""
    return cast("Client", Later(build))


@cache
def session() -> boto3.Session:
    return refusing_others(boto3.Session())


@cache
def codebuild() -> CodeBuildClient:
    return session().client("codebuild", config=PATIENCE)


@cache
def dynamodb() -> DynamoDBClient:
    return session().client("dynamodb", config=PATIENCE)


@cache
def eventbridge() -> EventBridgeClient:
    return session().client("events", config=PATIENCE)


@cache
def invoker() -> LambdaClient:
    """For functions that are only told to begin."""
    return session().client("lambda", config=PATIENCE)


@cache
def functions() -> LambdaClient:
    """Invokes once: what its function has begun must not begin again."""
    return session().client("lambda", config=PATIENT)


@cache
def s3() -> S3Client:
    return session().client("s3", config=PATIENCE)


@cache
def secrets_manager() -> SecretsManagerClient:
    return session().client("secretsmanager", config=PATIENCE)


@cache
def ssm() -> SSMClient:
    return session().client("ssm", config=PATIENCE)


@cache
def sts() -> STSClient:
    return session().client("sts", config=PATIENCE)
