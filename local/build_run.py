"""Runs one build: role, source, phases, log. All its AWS calls are made with the role."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import time
import zipfile
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    Credentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import ClientError
from botocore.session import Session

from local import build_shell, buildspec

if TYPE_CHECKING:
    from pathlib import Path

    from local.build import Build

FLUSH_SECONDS = 1.0
_credentials: ContextVar[ReadOnlyCredentials] = ContextVar("credentials")
"""Those of the current thread's build."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where builds run: `folder` has a work folder for each, `environment` applies to all."""

    folder: Path
    endpoint: str
    region: str
    environment: dict[str, str]


class Failed(Exception):
    """The build cannot continue. The error becomes its phase's context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def run(build: Build, place: Place, seconds: float) -> str:
    """Runs a build to its end and returns its status. `seconds`: its time limit."""
    deadline = time.monotonic() + seconds
    folder = place.folder / build.id.partition(":")[2]
    try:
        _credentials.set(_credentials_of(build))
        return _run(build, place, folder, deadline)
    except (Failed, buildspec.BadBuildspec) as problem:
        code = problem.code if isinstance(problem, Failed) else "YAML_FILE_ERROR"
        build.end("FAILED", str(problem), code)
        return "FAILED"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(build: Build, place: Place, folder: Path, deadline: float) -> str:
    log = Log(build, _client("logs", place.region))
    build.begin("DOWNLOAD_SOURCE")
    source = folder / "src"
    source.mkdir(parents=True)
    _download(build, place, source)
    spec = buildspec.parse(_buildspec_text(build, source))
    environment = _environment(build, place, folder, spec)
    try:
        return build_shell.run_phases(build, spec, environment, source, log.line, deadline)
    finally:
        log.flush()


def _credentials_of(build: Build) -> ReadOnlyCredentials:
    if build.credentials is None:
        role = build.settings["serviceRole"]
        raise Failed(
            "CLIENT_ERROR",
            f"CodeBuild is not authorized to perform: sts:AssumeRole on service role {role}",
        )
    return ReadOnlyCredentials(*build.credentials)


class _Provider(CredentialProvider):
    """Lets all builds share clients: making one takes longer than all else that comes before a
    build's first command."""

    def load(self) -> _Credentials:
        return _Credentials("", "")


class _Credentials(Credentials):
    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return _credentials.get()


@functools.cache
def _client(service: str, region: str) -> Any:
    session = Session()
    session.register_component("credential_provider", CredentialResolver([_Provider()]))
    return session.create_client(service, region_name=region)


def _download(build: Build, place: Place, source: Path) -> None:
    kind, location = build.settings["source"]["type"], build.settings["source"].get("location", "")
    if kind == "NO_SOURCE":
        return
    if kind != "S3" or location.endswith("/"):
        raise Failed("CLIENT_ERROR", f"The source must be a zip in S3, not {kind} {location}.")
    bucket, _, key = location.partition("/")
    version = {"VersionId": build.source_version} if build.source_version else {}
    try:
        s3 = _client("s3", place.region)
        body = s3.get_object(Bucket=bucket, Key=key, **version)["Body"].read()
        zipfile.ZipFile(io.BytesIO(body)).extractall(source)
    except (ClientError, zipfile.BadZipFile) as problem:
        raise Failed("CLIENT_ERROR", f"{problem} for primary source and source version "
                     f"{build.source_version or 'none'}") from None  # fmt: skip


def _buildspec_text(build: Build, source: Path) -> str:
    text = str(build.settings["source"].get("buildspec") or "buildspec.yml")
    if "\n" in text:
        return text
    file = source / text
    if not file.is_file():
        raise Failed("YAML_FILE_ERROR", f"stat {text}: no such file or directory")
    return file.read_text()


def _environment(
    build: Build, place: Place, folder: Path, spec: buildspec.Buildspec
) -> dict[str, str]:
    home, temporary = folder / "home", folder / "home" / "tmp"
    temporary.mkdir(parents=True)
    resolve = _Values(place.region)
    values = {v["name"]: resolve(v["type"], v["value"]) for v in build.variables}
    values |= {n: resolve("SECRETS_MANAGER", v) for n, v in spec.secrets.items()}
    values |= {n: resolve("PARAMETER_STORE", v) for n, v in spec.parameters.items()}
    return {
        **place.environment,
        **spec.variables,
        **values,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "AWS_REGION": place.region,
        "AWS_DEFAULT_REGION": place.region,
        "AWS_ENDPOINT_URL": place.endpoint,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{place.endpoint}/_front/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": build.authorization,
        "CODEBUILD_BUILD_ID": build.id,
        "CODEBUILD_BUILD_ARN": build.arn,
        "CODEBUILD_BUILD_NUMBER": str(build.number),
        "CODEBUILD_INITIATOR": build.initiator,
        "CODEBUILD_LOG_PATH": build.log_stream,
        "CODEBUILD_SRC_DIR": str(folder / "src"),
        "CODEBUILD_START_TIME": str(int(build.started * 1000)),
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build.source_version,
    }


@dataclass(frozen=True, slots=True)
class _Values:
    """Environment values, resolved by type with the build's role."""

    region: str

    def __call__(self, kind: str, value: str) -> str:
        try:
            if kind == "PARAMETER_STORE":
                found = _client("ssm", self.region).get_parameter(Name=value, WithDecryption=True)
                return str(found["Parameter"]["Value"])
            if kind == "SECRETS_MANAGER":
                return self._secret(value)
        except ClientError as problem:
            raise Failed("CLIENT_ERROR", f"{value} could not be read: {problem}") from None
        return value

    def _secret(self, reference: str) -> str:
        """`secret-id[:json-key[:stage[:version]]]`; an ARN itself contains six colons."""
        name = ":".join(reference.split(":")[:7]) if reference.startswith("arn:") else (
            reference.partition(":")[0])  # fmt: skip
        key = reference[len(name) :].strip(":").partition(":")[0]
        client = _client("secretsmanager", self.region)
        text = str(client.get_secret_value(SecretId=name)["SecretString"])
        if not key:
            return text
        return str(json.loads(text)[key])


class Log:
    """Sends a build's output to CloudWatch Logs."""

    def __init__(self, build: Build, client: Any) -> None:
        self._stream = {"logGroupName": build.log_group, "logStreamName": build.log_stream}
        self._client = client
        self._lines: list[dict[str, Any]] = []
        self._flushed = time.monotonic()
        try:
            try:
                client.create_log_stream(**self._stream)
            except client.exceptions.ResourceNotFoundException:
                client.create_log_group(logGroupName=build.log_group)
                client.create_log_stream(**self._stream)
        except ClientError as problem:
            raise Failed("ACCESS_DENIED", f"Service role {build.settings['serviceRole']} does not "
                         "allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for "
                         f"build {build.arn}. Error message: {problem}") from None  # fmt: skip

    def line(self, text: str) -> None:
        self._lines.append({"timestamp": int(time.time() * 1000), "message": text or " "})
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        self._flushed = time.monotonic()
        while lines:
            with contextlib.suppress(ClientError):  # CodeBuild also loses such lines
                self._client.put_log_events(**self._stream, logEvents=lines[:1000])
            lines = lines[1000:]
