"""Runs one build: role, source, phases, log. All its AWS calls are made with the role."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

from local import build_shell, buildspec

if TYPE_CHECKING:
    from pathlib import Path

    from local.build import Build

FLUSH_SECONDS = 1.0
LOADER = Loader()
"""Reads botocore's descriptions of AWS's services once: that takes longer than all else that comes
before a build's first command."""


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
        session = _session(build, place)
        return _run(build, place, session, folder, deadline)
    except (Failed, buildspec.BadBuildspec) as problem:
        code = problem.code if isinstance(problem, Failed) else "YAML_FILE_ERROR"
        build.end("FAILED", str(problem), code)
        return "FAILED"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(build: Build, place: Place, session: Session, folder: Path, deadline: float) -> str:
    log = Log(build, session.create_client("logs"))
    build.begin("DOWNLOAD_SOURCE")
    source = folder / "src"
    source.mkdir(parents=True)
    _download(build, session, source)
    spec = buildspec.parse(_buildspec_text(build, source))
    environment = _environment(build, place, folder, session, spec)
    try:
        return build_shell.run_phases(build, spec, environment, source, log.line, deadline)
    finally:
        log.flush()


def _session(build: Build, place: Place) -> Session:
    if build.credentials is None:
        role = build.settings["serviceRole"]
        raise Failed(
            "CLIENT_ERROR",
            f"CodeBuild is not authorized to perform: sts:AssumeRole on service role {role}",
        )
    key, secret, token = build.credentials
    session = Session()
    session.register_component("data_loader", LOADER)
    session.set_credentials(key, secret, token)
    session.set_config_variable("region", place.region)
    return session


def _download(build: Build, session: Session, source: Path) -> None:
    kind, location = build.settings["source"]["type"], build.settings["source"].get("location", "")
    if kind == "NO_SOURCE":
        return
    if kind != "S3" or location.endswith("/"):
        raise Failed("CLIENT_ERROR", f"The source must be a zip in S3, not {kind} {location}.")
    bucket, _, key = location.partition("/")
    version = {"VersionId": build.source_version} if build.source_version else {}
    s3: Any = session.create_client("s3")
    try:
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
    build: Build, place: Place, folder: Path, session: Session, spec: buildspec.Buildspec
) -> dict[str, str]:
    home, temporary = folder / "home", folder / "home" / "tmp"
    temporary.mkdir(parents=True)
    resolve = _Values(session)
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

    session: Session

    def __call__(self, kind: str, value: str) -> str:
        try:
            if kind == "PARAMETER_STORE":
                ssm: Any = self.session.create_client("ssm")
                found = ssm.get_parameter(Name=value, WithDecryption=True)
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
        client: Any = self.session.create_client("secretsmanager")
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
