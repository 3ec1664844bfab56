"""The deployed stack: found by its name, through CloudFormation. Bundles are put to its bucket."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from cts import keys
from cts.config.schema import Group
from cts_cli.errors import CommandError, NoCredentials

OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
"""What S3 answers to a put that another one, or a deletion, came before."""
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404"})


@dataclass(frozen=True, slots=True)
class Newest:
    """The bundle that was pushed last; without texts if none was."""

    version: str = ""
    etag: str = ""

    @property
    def unchanged(self) -> dict[str, str]:
        """As a condition of a put."""
        return {"IfMatch": self.etag} if self.etag else {"IfNoneMatch": "*"}


@dataclass(frozen=True, slots=True)
class Stack:
    name: str
    session: boto3.Session
    reader_url: str
    work_bucket: str
    secrets: Mapping[Group, str]
    """The ARN of each."""
    environment: Mapping[str, str]
    """What its publisher compiles with."""
    has_consul_secret: bool
    """Whether it was deployed with a secret that holds Consul's token."""

    def put_bundle(self, body: bytes, after: Newest | None) -> str | None:
        """Push. Returns the object's version, by which the answer to this push is known; None if
        another push came after that one. Without `after` it is made in any case."""
        condition = after.unchanged if after else {}
        with explaining_errors(f"pushing to bucket '{self.work_bucket}'"):
            client: Any = self.session.client("s3")
            try:
                answer = client.put_object(
                    Bucket=self.work_bucket, Key=keys.BUNDLE, Body=body, **condition
                )
            except ClientError as error:
                if after and code_of(error) in OVERTAKEN:
                    return None
                raise
        if "VersionId" not in answer:
            raise CommandError(
                f"bucket '{self.work_bucket}' keeps no versions: turn its versioning on again"
            )
        version: str = answer["VersionId"]
        return version

    def newest_bundle(self) -> Newest | None:
        """None for who may push and not look."""
        with explaining_errors(f"looking at bucket '{self.work_bucket}'"):
            try:
                answer = self.session.client("s3").head_object(
                    Bucket=self.work_bucket, Key=keys.BUNDLE
                )
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return Newest()
                if code_of(error) in DENIED:
                    return None
                raise
        return Newest(answer.get("VersionId", ""), answer["ETag"])

    def bundle(self, version: str) -> bytes | None:
        """What was pushed then. None if that is not kept any more."""
        stored = self._object(keys.BUNDLE, VersionId=version)
        return stored.body if stored else None

    def generation(self, number: int, digest: str) -> "Stored | None":
        return self._object(keys.generation(number, digest))

    def _object(self, key: str, **version: str) -> "Stored | None":
        with explaining_errors(f"reading {key} in bucket '{self.work_bucket}'"):
            try:
                client: Any = self.session.client("s3")
                answer = client.get_object(Bucket=self.work_bucket, Key=key, **version)
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                raise
            return Stored(answer["Body"].read(), answer["LastModified"])


@dataclass(frozen=True, slots=True)
class Stored:
    body: bytes
    at: datetime


def session() -> boto3.Session:
    """As the AWS command line finds it. botocore alone doesn't know AWS_REGION."""
    with explaining_errors("reading the AWS settings"):
        found = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        if found.region_name == "":  # AWS_DEFAULT_REGION is set, and empty
            raise NoRegionError
        return found


def find_stack(name: str) -> Stack:
    """Raises CommandError if there is no such stack, or none of ours."""
    found = session()
    doing = f"looking for stack '{name}'"
    with explaining_errors(doing):
        try:
            stacks = found.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                raise CommandError(
                    f"no stack '{name}' in {found.region_name}: deploy it with `sam deploy`, "
                    "or name another with --stack or CTS_STACK"
                ) from error
            raise
    return _stack(name, found, stacks[0])


def _stack(name: str, found: boto3.Session, described: Any) -> Stack:
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    missing = [key for key in ("ReaderUrl", "WorkBucket") if key not in outputs]
    if missing:
        raise CommandError(
            f"stack '{name}' ({described['StackStatus']}) has no output {missing[0]}: "
            "it is not deployed yet, or it is another program's"
        )
    secrets = {
        group: outputs[output]
        for group in Group
        if (output := f"{group.capitalize()}Secret") in outputs
    }
    given = {each["ParameterKey"]: each["ParameterValue"] for each in described["Parameters"]}
    return Stack(
        name=name,
        session=found,
        reader_url=outputs["ReaderUrl"],
        work_bucket=outputs["WorkBucket"],
        secrets=secrets,
        environment={"CONSUL_HTTP_ADDR": given["ConsulAddress"]},
        has_consul_secret=bool(given.get("ConsulSecretArn")),
    )


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def if_local() -> str:
    """What may be wrong when a connection to the local stack is refused."""
    if urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname != "127.0.0.1":
        return ""
    return "; is `make local` running? its ports change at each start"


@contextmanager
def explaining_errors(doing: str) -> Iterator[None]:
    """What botocore raises becomes a CommandError: a sentence that begins with what was tried."""
    try:
        yield
    except NoCredentialsError as error:
        raise NoCredentials from error
    except NoRegionError as error:
        raise CommandError("no AWS region: set AWS_REGION, or one in the profile") from error
    except ClientError as error:
        problem = error.response["Error"]
        word = "access denied" if problem["Code"] in DENIED else problem["Code"]
        message = problem.get("Message", "")
        raise CommandError(f"{doing}: {word}: {message}".removesuffix(": ")) from error
    except EndpointConnectionError as error:
        raise CommandError(f"{doing}: {error}{if_local()}") from error
    except BotoCoreError as error:
        raise CommandError(f"{doing}: {error}") from error
