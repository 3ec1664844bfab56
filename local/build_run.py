"""Runs one build: role, source, phases, log. Everything it touches, it touches as the role."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from local import buildspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.build import Build

GRACE_SECONDS = 2.0
FLUSH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where builds run: `folder` holds one work folder for each, `environment` is every build's."""

    folder: Path
    endpoint: str
    region: str
    environment: dict[str, str]


class Failed(Exception):
    """The build cannot go on; becomes its phase's context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def run(build: Build, place: Place, seconds: float) -> str:
    """Runs a build to its end and returns its status. `seconds`: its time limit."""
    deadline = time.monotonic() + seconds
    folder = place.folder / build.id.partition(":")[2]
    try:
        return _run(build, place, folder, deadline)
    except (Failed, buildspec.BadBuildspec) as problem:
        code = problem.code if isinstance(problem, Failed) else "YAML_FILE_ERROR"
        build.end("FAILED", str(problem), code)
        return "FAILED"
    finally:
        shutil.rmtree(folder / "home", ignore_errors=True)
        shutil.rmtree(folder / "src", ignore_errors=True)


def _run(build: Build, place: Place, folder: Path, deadline: float) -> str:
    session = _assume_role(build, place)
    log = Log(build, session.client("logs"))
    build.begin("DOWNLOAD_SOURCE")
    source = folder / "src"
    source.mkdir(parents=True)
    _download(build, session, source)
    spec = buildspec.parse(_buildspec_text(build, source))
    environment = _environment(build, place, folder, session, spec)
    try:
        status = _phases(build, spec, environment, source, log, deadline)
    finally:
        log.flush()
    return status


def _assume_role(build: Build, place: Place) -> boto3.Session:
    owner = boto3.Session("test", "test", region_name=place.region)
    sts = owner.client("sts", endpoint_url=place.endpoint)
    build.role_session = f"AWSCodeBuild-{build.id.partition(':')[2]}"
    try:
        credentials = sts.assume_role(
            RoleArn=build.settings["serviceRole"], RoleSessionName=build.role_session
        )["Credentials"]
    except ClientError as problem:
        raise Failed(
            "CLIENT_ERROR",
            f"CodeBuild is not authorized to perform: sts:AssumeRole on service role: {problem}",
        ) from None
    return boto3.Session(
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
        region_name=place.region,
    )


def _download(build: Build, session: boto3.Session, source: Path) -> None:
    kind, location = build.settings["source"]["type"], build.settings["source"].get("location", "")
    if kind == "NO_SOURCE":
        return
    if kind != "S3" or location.endswith("/"):
        raise Failed("CLIENT_ERROR", f"Only a zip in S3 is a source here, not {kind} {location}.")
    bucket, _, key = location.partition("/")
    version = {"VersionId": build.source_version} if build.source_version else {}
    s3: Any = session.client("s3")
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
    build: Build, place: Place, folder: Path, session: boto3.Session, spec: buildspec.Buildspec
) -> dict[str, str]:
    home, temporary = folder / "home", folder / "home" / "tmp"
    temporary.mkdir(parents=True)
    credentials = session.get_credentials()
    if credentials is None or credentials.token is None:
        raise Failed("CLIENT_ERROR", "The service role gave no credentials.")
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
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
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
    """Environment values by their type, read as the build's role."""

    session: boto3.Session

    def __call__(self, kind: str, value: str) -> str:
        try:
            if kind == "PARAMETER_STORE":
                ssm: Any = self.session.client("ssm")
                found = ssm.get_parameter(Name=value, WithDecryption=True)
                return str(found["Parameter"]["Value"])
            if kind == "SECRETS_MANAGER":
                return self._secret(value)
        except ClientError as problem:
            raise Failed("CLIENT_ERROR", f"{value} could not be read: {problem}") from None
        return value

    def _secret(self, reference: str) -> str:
        """`secret-id[:json-key[:stage[:version]]]`; an ARN holds six colons of its own."""
        name = ":".join(reference.split(":")[:7]) if reference.startswith("arn:") else (
            reference.partition(":")[0])  # fmt: skip
        key = reference[len(name) :].strip(":").partition(":")[0]
        client: Any = self.session.client("secretsmanager")
        text = str(client.get_secret_value(SecretId=name)["SecretString"])
        if not key:
            return text
        return str(json.loads(text)[key])


class Log:
    """A build's output on its way to CloudWatch Logs."""

    def __init__(self, build: Build, client: Any) -> None:
        self._stream = {"logGroupName": build.log_group, "logStreamName": build.log_stream}
        self._client = client
        self._lines: list[dict[str, Any]] = []
        self._flushed = time.monotonic()
        try:
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
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
            with contextlib.suppress(ClientError):  # CodeBuild loses such lines, too
                self._client.put_log_events(**self._stream, logEvents=lines[:1000])
            lines = lines[1000:]


def _phases(
    build: Build,
    spec: buildspec.Buildspec,
    environment: dict[str, str],
    source: Path,
    log: Log,
    deadline: float,
) -> str:
    reports, channel = os.pipe()
    process = subprocess.Popen(
        ["bash", "-c", buildspec.script(spec, channel)],
        cwd=source,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[channel],
        start_new_session=True,
    )
    os.close(channel)
    build.process_group = process.pid
    assert process.stdout is not None
    outputs = {
        reports: lambda line: _report(build, line),
        process.stdout.fileno(): log.line,
    }
    try:
        ended = _follow(outputs, lambda: _interruption(build, deadline))
        if ended:
            _kill(process)
            build.end(ended, {"TIMED_OUT": "Build timed out. "}.get(ended, ""), "BUILD_TIMED_OUT")
            return ended
        process.wait()
    finally:
        _kill(process)
        process.stdout.close()
        os.close(reports)
    if build.killed_as:
        build.end(build.killed_as, "The build's container was lost.", "INTERNAL_SERVICE_ERROR")
        return build.killed_as
    code = process.returncode
    build.end("SUCCEEDED" if code == 0 else "FAILED",
              "" if code == 0 else f"The shell exited with status {code}.",
              "COMMAND_EXECUTION_ERROR")  # fmt: skip
    return "SUCCEEDED" if code == 0 else "FAILED"


def _interruption(build: Build, deadline: float) -> str:
    if build.stop.is_set():
        return "STOPPED"
    return "TIMED_OUT" if time.monotonic() > deadline else ""


def _follow(outputs: dict[int, Callable[[str], None]], interrupted: Callable[[], str]) -> str:
    """Hands on lines until all outputs end, or a reason to stop turns up, which it returns."""
    rests = dict.fromkeys(outputs, b"")
    with selectors.DefaultSelector() as selector:
        for fd in outputs:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            if reason := interrupted():
                return reason
            for ready, _ in selector.select(timeout=0.1):
                data = os.read(ready.fd, 65536)
                *lines, rests[ready.fd] = (rests[ready.fd] + data).split(b"\n")
                for line in lines + ([] if data or not rests[ready.fd] else [rests[ready.fd]]):
                    outputs[ready.fd](line.decode(errors="replace"))
                if not data:
                    selector.unregister(ready.fd)
    return ""


def _report(build: Build, line: str) -> None:
    match line.split(" ", 3):
        case ["start", phase]:
            build.begin(phase)
        case ["failed", phase, code, command]:
            build.end(
                "FAILED",
                f"Error while executing command: {command}. Reason: exit status {code}",
                "COMMAND_EXECUTION_ERROR",
            )
        case ["end", phase, status]:
            build.end(status)
        case ["exported", name, value]:
            build.exported[name] = base64.b64decode(value).decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a build's process group: SIGTERM, and SIGKILL for what is still there."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)
