"""The deployed stack, found by name through CloudFormation, and the objects in its bucket."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.parsers import ResponseParserError

from cts import keys
from cts.adapters.not_aws import UNREADABLE, NotFromAws, refusing_others
from cts.config.blocks.schema import Group
from cts_cli.errors import CommandError, NoCredentials

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

OVERTAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
"""S3's errors for a conditional put when the object has been replaced or deleted meanwhile."""
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403"})
ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404"})


INVALID = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidSignatureException", "InvalidToken", "RequestExpired", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
"""Of credentials that are not, or no longer, valid."""
RENEW = "renew your AWS credentials, for instance with `aws sso login`, and check your clock"
CORRECT = "correct your AWS settings: variables such as AWS_MAX_ATTEMPTS, and ~/.aws/config"
NO_NUMBER = re.compile(r"(?:invalid literal for int.*|could not convert string to float): (.*)")


class Unchanged(TypedDict, total=False):
    IfMatch: str
    IfNoneMatch: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The last pushed bundle; fields are empty if nothing has been pushed."""

    version: str = ""
    etag: str = ""

    @property
    def unchanged(self) -> Unchanged:
        """The condition for a put: the object is still this one."""
        return {"IfMatch": self.etag} if self.etag else {"IfNoneMatch": "*"}


@dataclass(frozen=True, slots=True)
class Stack:
    name: str
    session: boto3.Session
    reader_url: str
    api_url: str
    """Empty for a stack of an earlier version."""
    work_bucket: str
    secrets: Mapping[Group, str]
    """The ARN of each."""
    environment: Mapping[str, str]
    """The environment that its publisher compiles with."""
    has_consul_secret: bool
    """Whether it was deployed with its own secret for Consul's token."""

    def put_bundle(self, body: bytes, after: Newest | None) -> str | None:
        """Push a bundle. Returns the object's version, which identifies the push; None if there
        has been another push since `after`. Without `after`, push unconditionally."""
        condition: Unchanged = after.unchanged if after else {}
        with explaining_errors(f"pushing to bucket '{self.work_bucket}'"):
            try:
                answer = self.session.client("s3").put_object(
                    Bucket=self.work_bucket, Key=keys.BUNDLE, Body=body, **condition
                )
            except ClientError as error:
                if after and code_of(error) in OVERTAKEN:
                    return None
                raise
        if "VersionId" not in answer:
            raise CommandError(
                f"versioning is off for bucket '{self.work_bucket}': turn it back on"
            )
        return answer["VersionId"]

    def newest_bundle(self) -> Newest | None:
        """None if the caller may push but not read."""
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
        """The bundle with that version. None if it has expired."""
        stored = self._object(
            {"Bucket": self.work_bucket, "Key": keys.BUNDLE, "VersionId": version}
        )
        return stored.body if stored else None

    def generation(self, number: int, digest: str) -> "Stored | None":
        return self._object({"Bucket": self.work_bucket, "Key": keys.generation(number, digest)})

    def _object(self, wanted: "GetObjectRequestTypeDef") -> "Stored | None":
        with explaining_errors(f"reading {wanted['Key']} in bucket '{self.work_bucket}'"):
            try:
                answer = self.session.client("s3").get_object(**wanted)
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
    """Configured like the AWS CLI. boto3 alone does not read AWS_REGION."""
    with explaining_errors("reading the AWS settings"):
        found = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        if found.region_name == "":  # AWS_DEFAULT_REGION is set, and empty
            raise NoRegionError
        return refusing_others(found)


def credentials_of(session: boto3.Session) -> "Credentials":
    """Raises CommandError if there are none."""
    with explaining_errors("reading the AWS credentials"):
        credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentials
    return credentials


def find_stack(name: str) -> Stack:
    """Raises CommandError if the stack does not exist, or is not a cts stack."""
    found = session()
    doing = f"looking for stack '{name}'"
    with explaining_errors(doing):
        try:
            stacks = found.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                raise CommandError(
                    f"stack '{name}' not found in {found.region_name}: deploy it with "
                    "`sam deploy`, or choose another one with --stack or CTS_STACK"
                ) from error
            raise
    return _stack(name, found, stacks[0])


def _stack(name: str, found: boto3.Session, described: "StackTypeDef") -> Stack:
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    missing = [key for key in ("ReaderUrl", "WorkBucket") if key not in outputs]
    if missing:
        raise CommandError(
            f"stack '{name}' ({described['StackStatus']}) has no output {missing[0]}: "
            "it is not fully deployed yet, or is not a cts stack"
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
        api_url=outputs.get("ApiUrl", ""),
        work_bucket=outputs["WorkBucket"],
        secrets=secrets,
        environment={"CONSUL_HTTP_ADDR": given["ConsulAddress"]},
        has_consul_secret=bool(given.get("ConsulSecretArn")),
    )


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def if_local(hint: str = "; is `make local` running? its ports change each time it starts") -> str:
    """A hint for the local stack, such as for when a connection to it is refused."""
    is_local = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname == "127.0.0.1"
    return hint if is_local else ""


@contextmanager
def explaining_errors(doing: str) -> Iterator[None]:
    """Turn botocore's errors into a CommandError that begins with what was being done."""
    try:
        yield
    except NoCredentialsError as error:
        raise NoCredentials from error
    except NoRegionError as error:
        raise CommandError("no AWS region: set AWS_REGION, or a region in your profile") from error
    except ClientError as error:
        raise CommandError(f"{doing}: {_refusal(error)}") from error
    except NotFromAws as error:
        why = if_local("the local stack does not have this service") or error
        raise CommandError(f"{doing}: {why}") from error
    except EndpointConnectionError as error:
        raise CommandError(f"{doing}: {error}{if_local()}") from error
    except ResponseParserError:
        raise CommandError(f"{doing}: {UNREADABLE}") from None
    except BotoCoreError as error:
        raise CommandError(f"{doing}: {error}") from error
    except ValueError as error:  # of a number or an endpoint
        said = NO_NUMBER.sub(r"\1 is not a number", str(error))
        raise CommandError(f"{doing}: {said}: {CORRECT}") from error


def _refusal(error: ClientError) -> str:
    word, message = code_of(error), error.response["Error"].get("Message", "")
    if word in DENIED:
        word = "access denied"
    said = f"{word}: {message}".removesuffix(": ")
    return f"{said.removesuffix('.')}: {RENEW}" if code_of(error) in INVALID else said
