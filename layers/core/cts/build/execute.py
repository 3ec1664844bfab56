"""Executes one run of a task with Terraform, in a folder that holds the unpacked archive.

Python 3.11, its standard library only, and this one file: it travels inside the archive. It
doesn't know where it runs: the folder, its own identity and its time limit are arguments. What it
leaves behind lies under `runs/<task>/<run>/` of the work bucket, in this order:

* `started`          whose run this is; the second build of a run finds it and does nothing
* `applying`         put just before `terraform apply` begins
* `errored.tfstate`  a state that Terraform could not store; before it `unpushed/<task>` names the
                     run, until a later run of the task has pushed that state
* `result.json`      how it ended
* `log`              everything Terraform said, put every two seconds while it grows and at the end

Exits with 0 if the run was applied, changed nothing, or belongs to another build; else with 1.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import io
import json
import os
import platform
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import zipfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

PASSING = re.compile(
    r"<Code>(?:RequestTimeout|SlowDown|RequestTimeTooSkewed|InternalError|ExpiredToken)</Code>"
)
"""What S3 says of a request that may succeed the next time, whatever the status."""
RELEASES = "https://releases.hashicorp.com/terraform"
ERROR_CHARACTERS = 4096
CLOCK_SKEW = timedelta(seconds=5)
LOG_CHARACTERS = 16_000_000
OUTPUT_CHARACTERS = 4_000_000
LINE_CHARACTERS = 1_000_000
STATE_BYTES = 64 * 2**20
STATE_LINES = 10
LOG_SECONDS = 2.0
PLANNED = re.compile(
    r"^Plan: (?:(\d+) to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy", re.MULTILINE
)
MOVED_OR_FORGOTTEN = re.compile(r"has moved to|moved from|no longer be managed by Terraform")
NOT_STORED = re.compile(r"^(?:terraform apply\b.*: )?Error: Failed to persist state", re.MULTILINE)
NOT_TO_BE_PUSHED = re.compile(r"Failed to write state|reading source state")
"""Terraform's words for a state whose lineage, serial or text rule it out, whoever asks."""
LOOK_FIRST = (
    'Store the state before the task runs again: see "A state that could not be stored" in '
    "docs/operations.md."
)
MASK = "***"
PLAIN_USERS = ("", "git", "oauth2", "token", "x-access-token", "x-token-auth")
USER = re.compile(r"""([^\s"'/?#@:\[]*)(:(?!\d{1,5}/)(?:[^\s"'/]*|[^\s"'@]*))?@""")
ARGUMENT = re.compile(r"""([?&])([^=&?\s"']+)=([^&\s"']+)""")
SECRET = re.compile(
    r"""token | secret | credential | passw | passphrase | passcode | private | signature | conn_str
      | connection[_-]?string
      | (?:access|account|api|app|auth|client|customer|encryption|hmac|license|master|service|shared
           |signing|ssh|subscription)keys?(?![a-z])
      | (?<![a-z])(?:auth|authorization|code|cookie|dsn|jwt|keys?|pass|pat|pin|psk|pwd|sas|sig)
        (?![a-z])""",
    re.IGNORECASE | re.VERBOSE,
)
NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class RunError(Exception):
    """A sentence: what was being done, then what came back."""

    def __init__(self, text: str, *, retryable: bool = True, logged: bool = False) -> None:
        """`logged`: the log says it already."""
        super().__init__(text)
        self.retryable, self.logged = retryable, logged


def masked(text: str) -> str:
    """Without the credentials in URLs, such as the address of a module."""
    parts = text.split("://")
    for number in range(1, len(parts)):
        parts[number] = _without_user(parts[number], is_ssh=parts[number - 1].endswith("ssh"))
    return ARGUMENT.sub(_masked_argument, "://".join(parts))


def _without_user(rest: str, *, is_ssh: bool) -> str:
    """`rest`: of a URL, behind its scheme. A user may be a token, but not for SSH."""
    found = USER.match(rest)
    if not found:
        return rest
    user, password = found.groups()
    shown = user if is_ssh or user in PLAIN_USERS else MASK
    hidden = f":{MASK}" if password is not None else ""
    return f"{shown}{hidden}@{rest[found.end() :]}"


def _masked_argument(found: re.Match[str]) -> str:
    sign, name, value = found.groups()
    is_secret = SECRET.search(NEW_WORD.sub("_", name))
    return f"{sign}{name}={MASK if is_secret else value}"


@dataclass(frozen=True, slots=True)
class Credentials:
    key_id: str
    secret: str
    token: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class StoredState:
    body: bytes
    etag: str


class S3:
    """A few calls of S3, signed (Signature Version 4). Conflicts, throttling, server errors and
    broken connections are tried again: eight attempts take about half a minute, and never more
    than half of the time until `ends_at` (monotonic), so that what comes after has its chance."""

    def __init__(self, region: str, attempts: int = 8, ends_at: float = float("inf")) -> None:
        self.region, self.attempts, self.ends_at = region, attempts, ends_at
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._credentials: Credentials | None = None

    def get(self, bucket: str, key: str) -> StoredState | None:
        return self._send("GET", bucket, key, accept=(404,))

    def exists(self, bucket: str, key: str) -> bool:
        return self._send("HEAD", bucket, key, accept=(404,)) is not None

    def put(self, bucket: str, key: str, body: bytes) -> None:
        self._send("PUT", bucket, key, body)

    def put_if_absent(self, bucket: str, key: str, body: bytes) -> bool:
        return self._send("PUT", bucket, key, body, {"if-none-match": "*"}, (412,)) is not None

    def delete(self, bucket: str, key: str, etag: str) -> bool:
        """False if it is another object by now."""
        return self._send("DELETE", bucket, key, b"", {"if-match": etag}, (404, 412)) is not None

    def former_versions(self, bucket: str, key: str) -> list[str]:
        """Ids of an object's versions and delete markers, the latest left out; the first thousand
        at most."""
        query = f"prefix={quote(key, safe='')}&versions="
        answer = self._send("GET", bucket, "", query=query)
        listed = ET.fromstring(answer.body if answer else b"")
        each = (*listed.iterfind("{*}Version"), *listed.iterfind("{*}DeleteMarker"))
        return [
            found.findtext("{*}VersionId", "")
            for found in each
            if found.findtext("{*}Key") == key and found.findtext("{*}IsLatest") == "false"
        ]

    def delete_versions(self, bucket: str, key: str, versions: list[str]) -> None:
        named = "".join(
            f"<Object><Key>{escape(key)}</Key><VersionId>{escape(each)}</VersionId></Object>"
            for each in versions
        )
        body = f"<Delete><Quiet>true</Quiet>{named}</Delete>".encode()
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        headers = {"content-md5": base64.b64encode(digest).decode()}
        answer = self._send("POST", bucket, "", body, headers, query="delete=")
        if answer and b"<Error>" in answer.body:
            raise RunError(f"POST s3://{bucket}?delete: {_s3_error(answer.body)}")

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        accept: tuple[int, ...] = (),
        query: str = "",
    ) -> StoredState | None:
        """The answer; None for a status in `accept`."""
        began = time.monotonic()
        until = began + (self.ends_at - began) / 2
        for attempt in range(self.attempts):
            pause = 0.1 * 2**attempt if attempt else 0
            left = until - time.monotonic() - pause
            if attempt and left < 0:
                break
            time.sleep(pause)
            try:
                request = self._request(method, bucket, key, body, headers or {}, query)
                with urllib.request.urlopen(request, timeout=min(60, max(1, left / 2))) as answer:
                    return StoredState(answer.read(), answer.headers.get("ETag", ""))
            except urllib.error.HTTPError as error:
                with error:
                    told = error.read()
                problem = f"HTTP {error.code} {_s3_error(told)}".rstrip()
                if error.code in accept:
                    return None
                passing = PASSING.search(told.decode(errors="replace"))
                if error.code < 500 and error.code not in (409, 429) and not passing:
                    raise RunError(f"{method} s3://{bucket}/{key}: {problem}") from None
                if b"<Code>ExpiredToken</Code>" in told:
                    self._credentials = None
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
        raise RunError(f"{method} s3://{bucket}/{key}: {problem}")

    def _request(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes,
        headers: dict[str, str],
        query: str = "",
    ) -> urllib.request.Request:
        """`query`: its names in alphabetical order, as the signature wants them."""
        if self.endpoint:
            url = f"{self.endpoint.rstrip('/')}/{bucket}/{quote(key)}"
        else:
            china = ".cn" if self.region.startswith("cn-") else ""
            url = f"https://{bucket}.s3.{self.region}.amazonaws.com{china}/{quote(key)}"
        url += f"?{query}" if query else ""
        headers = headers | {"content-type": "application/octet-stream"}
        signed = self._signed(method, url, body) | headers
        return urllib.request.Request(url, body or None, signed, method=method)

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        credentials = self._fresh_credentials()
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        parts = urlsplit(url)
        headers = {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": moment}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"{method}\n{parts.path}\n{parts.query}\n{lines}\n{names}\n{digest}"
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{_sha256(canonical)}"
        key = f"AWS4{credentials.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _fresh_credentials(self) -> Credentials:
        soon = datetime.now(UTC) + timedelta(minutes=5)
        if self._credentials is None or self._credentials.expires < soon:
            self._credentials = _credentials()
        return self._credentials


def _credentials() -> Credentials:
    """From the environment, else from the container's credentials endpoint."""
    env = os.environ
    if "AWS_ACCESS_KEY_ID" in env:
        token = env.get("AWS_SESSION_TOKEN", "")
        never = datetime.max.replace(tzinfo=UTC)
        return Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], token, never)
    url = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if relative := env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        url = f"http://169.254.170.2{relative}"
    if not url:
        raise RunError("finding AWS credentials: neither AWS_ACCESS_KEY_ID nor an address is set")
    # Never through a proxy, which would see the role's keys.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        request = urllib.request.Request(url)
        if authorization := env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
            request.add_header("Authorization", authorization)
        with opener.open(request, timeout=10) as answer:
            found = json.load(answer)
        expires = datetime.fromisoformat(found["Expiration"]).astimezone(UTC)
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], expires)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Not HTTPError, which the caller would take for S3's answer.
        raise ConnectionError(f"fetching AWS credentials from {url}: {error}") from error
    except (KeyError, TypeError) as error:
        raise ConnectionError(f"AWS credentials from {url} lack what they need: {error}") from error


def _s3_error(body: bytes) -> str:
    return " ".join(re.findall(r"<(?:Code|Message)>(.*?)</", body.decode(errors="replace")))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Stop:
    """Why to stop, once there is a reason, and the Terraform process to tell."""

    def __init__(self, minutes: float) -> None:
        began, limit = time.monotonic(), minutes * 60
        reserve = min(limit / 4, 300)
        self.interrupt_at = began + limit - reserve
        self.kill_at = began + limit - reserve / 3
        self.ends_at = began + limit
        self.reason = ""
        self._time_is_up = f"its time limit of {minutes:g} minutes is near"
        self._to_tell: list[subprocess.Popen[str]] = []

    def check(self) -> None:
        """Between two steps."""
        if time.monotonic() >= self.interrupt_at:
            self.ask(self._time_is_up)
        if self.reason:
            raise RunError(f"stopped before the next step, because {self.reason}")

    def ask(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._tell()

    def wait(self, process: subprocess.Popen[str]) -> int:
        """Wait for Terraform; interrupt it when it is time, and let it store its state."""
        self._to_tell = [process]
        if self.reason:
            self._tell()
        # Not wait(timeout), which looks only every 50 ms.
        waiter = threading.Thread(target=process.wait, daemon=True)
        waiter.start()
        waiter.join(max(0, self.interrupt_at - time.monotonic()))
        if waiter.is_alive():
            self.ask(self._time_is_up)
            waiter.join(max(0, self.kill_at - time.monotonic()))
        if waiter.is_alive():
            process.kill()
        return process.wait()

    def _tell(self) -> None:
        # Once only: a second interrupt makes Terraform exit without storing its state.
        with suppress(IndexError):
            self._to_tell.pop().send_signal(signal.SIGINT)


class Tail:
    """A text that grows; of a long one only the end is kept."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept = self.left_out = 0
        self._parts: deque[str] = deque()

    def add(self, part: str) -> None:
        self._parts.append(part)
        self.kept += len(part)
        while self.kept > self.most and len(self._parts) > 1:
            gone = len(self._parts.popleft())
            self.kept, self.left_out = self.kept - gone, self.left_out + gone

    def __str__(self) -> str:
        return "".join(self._parts)


class Log:
    """What people read later, without the credentials in URLs; standard output meanwhile. It lies
    in memory: a full disk must not end a run without a word."""

    def __init__(self) -> None:
        self._text = Tail(LOG_CHARACTERS)
        self._lock = threading.Lock()

    def write(self, text: str) -> str:
        """The text as it was written."""
        text = masked(text)
        with self._lock:
            self._text.add(text)
            with suppress(OSError, ValueError):
                print(text, end="", flush=True)
        return text

    def note(self, text: str) -> None:
        self.write(f"[{_now()}] {text}\n")

    @property
    def length(self) -> int:
        """Characters ever written."""
        return self._text.kept + self._text.left_out

    def body(self) -> bytes:
        with self._lock:
            cut, text = self._text.left_out, str(self._text)
        note = f"[the first {cut} characters are left out]\n" if cut else ""
        return (note + text).encode()


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    errors: str
    state: str
    """What Terraform printed of a state that it could store nowhere."""


class TerraformProcess:
    """The program, in the folder of the root module."""

    def __init__(self, binary: str, folder: Path, log: Log, stop: Stop) -> None:
        self.binary, self.folder, self.log, self.stop = binary, folder, log, stop
        self.printed_state = ""
        self.environment = os.environ | {
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    def version(self) -> str:
        try:
            said = subprocess.run(
                [self.binary, "version", "-json"],
                env=self.environment,
                capture_output=True,
                check=True,
            )
            return str(json.loads(said.stdout)["terraform_version"])
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"running {self.binary} version -json: {error}") from error

    def planned(self, plan: Path) -> Any:
        """A plan as JSON. It holds values, secret ones too: not for the log."""
        said = subprocess.run(
            [self.binary, "show", "-json", str(plan)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return json.loads(said.stdout)

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
        """How the command ended, if with one of `codes` and uninterrupted."""
        self.stop.check()
        self.log.note("terraform " + " ".join(arguments))
        ended = self._ended(arguments)
        if self.stop.reason or ended.code not in codes:
            command = f"terraform {' '.join(takewhile(str.isalpha, arguments))}"
            command += f", interrupted because {self.stop.reason}" if self.stop.reason else ""
            self.log.note(f"{command}: ended with code {ended.code}")
            self.printed_state = ended.state
            raise RunError(f"{command}: {_reason(ended)}", logged=True)
        return ended

    def converging(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
        """As `run`; what fails because the configuration is wrong is not to be tried again."""
        try:
            return self.run(*arguments, codes=codes)
        except RunError as failed:
            if not self.stop.reason and self.is_mistake(str(failed)):
                failed.retryable = False
            raise

    def is_mistake(self, error: str) -> bool:
        """Whether `validate`, which asks nobody outside, finds in the configuration what the error
        tells of. When in doubt it is none: an outage must not end the retrying."""
        try:
            said = subprocess.run(
                [self.binary, "validate", "-json"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=60,
            )
            found = [each for each in json.loads(said.stdout)["diagnostics"] if "range" in each]
            mistakes = [each["summary"] for each in found if each["severity"] == "error"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
            return False
        told = " ".join(error.split())
        return any(mistake in told for mistake in mistakes)

    def _ended(self, arguments: tuple[str, ...]) -> Ended:
        # A group of its own: a signal to our whole group would end the providers before Terraform.
        process = subprocess.Popen(
            [self.binary, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        output, errors = Copied(process.stdout, self.log), TerraformErrors(process.stderr, self.log)
        code = self.stop.wait(process)
        return Ended(code, output.text(), errors.text(), errors.state)


class Copied(threading.Thread):
    """A stream's text, copied to the log while it comes."""

    def __init__(self, stream: IO[str] | None, log: Log) -> None:
        super().__init__(daemon=True)
        self.stream, self.log = stream or io.StringIO(), log
        self.copied = Tail(OUTPUT_CHARACTERS)
        self.start()

    def run(self) -> None:
        while line := self.stream.readline(LINE_CHARACTERS):
            self.take(line)

    def take(self, line: str) -> None:
        self.copied.add(self.log.write(line))

    def text(self) -> str:
        # Not for ever: a program a module left in the background may hold the stream open.
        self.join(timeout=5)
        return str(self.copied)


class TerraformErrors(Copied):
    """Standard error. There Terraform prints a state, secrets and all, that it could store neither
    in the bucket nor in a file: that is kept, and not shown."""

    def __init__(self, stream: IO[str] | None, log: Log) -> None:
        self.state = ""
        self.block: list[str] = []
        self.room, self.is_state = STATE_BYTES, False
        super().__init__(stream, log)

    def run(self) -> None:
        super().run()
        self.end_block()

    def take(self, line: str) -> None:
        if not self.block and line != "{\n":
            super().take(line)
            return
        self.room -= len(line)
        if self.room >= 0:
            self.block.append(line)
        self.is_state = self.is_state or line.startswith('  "lineage": ')
        # A state says in its first lines that it is one.
        if line == "}\n" or (len(self.block) > STATE_LINES and not self.is_state):
            self.end_block()

    def end_block(self) -> None:
        lines, self.block = self.block, []
        if self.is_state:
            self.state, lines = "".join(lines), ["(the state, which is not shown)\n"]
        self.room, self.is_state = STATE_BYTES, False
        for line in lines:
            super().take(line)


def _reason(ended: Ended) -> str:
    """Terraform's own words; the end of them, if there are many."""
    text = ended.errors.strip() or f"it ended with code {ended.code} and said nothing"
    return text if len(text) <= ERROR_CHARACTERS else "... " + text[-ERROR_CHARACTERS:]


def backend_options(version: str, *, other_endpoint: bool) -> list[str]:
    """What main.tf can't say: lock files need Terraform 1.10; another endpoint than AWS's has
    buckets in the path, and perhaps nothing but S3."""
    options = []
    if tuple(int(part) for part in version.split(".")[:2]) >= (1, 10):
        options.append("use_lockfile")
    if other_endpoint:
        options += ["use_path_style", "skip_credentials_validation", "skip_requesting_account_id"]
    return [f"-backend-config={option}=true" for option in options]


def counts(said: str) -> dict[str, int]:
    """Of `Plan: 1 to add, 0 to change, 0 to destroy.`; no such line: only outputs change."""
    found = PLANNED.findall(said)
    imported, *usual = (int(number or 0) for number in (found[-1] if found else "0000"))
    counted = dict(zip(("add", "change", "destroy"), usual, strict=True))
    return counted | ({"import": imported} if imported else {})


def moved_and_forgotten(plan: dict[str, Any]) -> dict[str, int]:
    """Of a plan as JSON: what Terraform lists and doesn't count."""
    changes = plan.get("resource_changes", [])
    moved = sum("previous_address" in each for each in changes)
    forgotten = sum("forget" in each["change"]["actions"] for each in changes)
    return {name: n for name, n in (("move", moved), ("forget", forgotten)) if n}


def find_terraform(version: str, s3: S3, bucket: str, folder: Path, log: Log) -> str:
    """From PATH, else the work bucket's cache, else the official release."""
    if on_path := shutil.which("terraform"):
        return on_path
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    system = f"{platform.system().lower()}_{machine}"
    key = f"tools/terraform/{version}/{system}.zip"
    if stored := s3.get(bucket, key):
        log.note(f"Terraform {version} from s3://{bucket}/{key}")
        packed = stored.body
    else:
        log.note(f"Terraform {version} from {RELEASES}")
        packed = download(version, system)
        s3.put_if_absent(bucket, key, packed)
    binary = folder / "terraform"
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            binary.write_bytes(archive.read("terraform"))
    except (zipfile.BadZipFile, KeyError) as error:
        text = f"s3://{bucket}/{key} is no archive of Terraform: {error}. Delete it; then the next"
        raise RunError(f"{text} run fetches the release anew.", retryable=False) from error
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


def download(version: str, system: str) -> bytes:
    """The official release's zip, if its checksum is the published one."""
    name = f"terraform_{version}_{system}.zip"
    sums = _fetch(f"{RELEASES}/{version}/terraform_{version}_SHA256SUMS").decode()
    expected = {file: digest for digest, file in (line.split() for line in sums.splitlines())}
    if name not in expected:
        raise RunError(f"Terraform {version} has no release for {system}", retryable=False)
    packed = _fetch(f"{RELEASES}/{version}/{name}")
    if hashlib.sha256(packed).hexdigest() != expected[name]:
        raise RunError(f"{name} does not have the checksum its publisher states")
    return packed


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()
        missing = error.code == 404
        raise RunError(f"fetching {url}: HTTP {error.code}", retryable=not missing) from error
    except (OSError, http.client.HTTPException) as error:
        raise RunError(f"fetching {url}: {error}") from error


class Execution:
    """One build's attempt at one run."""

    def __init__(self, folder: Path, build: str, stop: Stop) -> None:
        self.folder, self.build, self.stop = folder, build, stop
        self.facts = _facts(folder / "run.json")
        self.task: str = self.facts["task"]
        self.bucket: str = self.facts["work_bucket"]
        self.s3 = S3(self.facts["region"], ends_at=stop.ends_at)
        self.s3_once = S3(self.facts["region"], attempts=1, ends_at=stop.ends_at)
        self.own = folder / ".build"
        self.log = Log()
        self.log_sent, self.log_lock, self.over = 0, threading.Lock(), threading.Event()
        self.step, self.at = "start", {"started": _now()}
        self.began = time.time()
        self.terraform: TerraformProcess | None = None
        self.counts: dict[str, int] | None = None
        self.version = ""

    def execute(self) -> int:
        """The exit code."""
        if not self.begin():
            return 0
        try:
            threading.Thread(target=self.send_log, daemon=True).start()
            result = {"status": self.converge(), "error": None, "retryable": False}
            self.step = "done"
        except Exception as failed:  # noqa: BLE001  whatever happens, its reason is stored
            result = self.failure(failed)
        self.put_result(result)
        self.delete_former_locks()
        return 1 if result["status"] == "errored" else 0

    # ---- whose run it is ----------------------------------------------------------------

    def begin(self) -> bool:
        """Whether this run is this build's. The put decides; one that was repeated after a lost
        answer is refused too, so a refused one reads whom the object names."""
        mine = {"build": self.build, "who": _who(), "at": self.at["started"]}
        if self.s3.put_if_absent(self.bucket, self.key("started"), json.dumps(mine).encode()):
            return True
        named = self.started(self.facts["run"])
        if named is None:
            where = f"s3://{self.bucket}/{self.key('started')}"
            raise RunError(f"{where} does not say whose run this is: delete it. Nothing was done.")
        if named.get("build") == self.build:
            self.at["started"] = named.get("at") or self.at["started"]
            return True
        owner = named.get("build")
        why = f"build {owner} has it" if owner else "it was given up before its build began"
        self.log.note(f"run {self.facts['run']} is not this build's: {why}. Nothing was done.")
        return False

    def started(self, run: str) -> dict[str, Any] | None:
        """What the object `started` of one of the task's runs says; None if nothing readable."""
        stored = self.s3.get(self.bucket, f"runs/{self.task}/{run}/started")
        return _record(stored.body) if stored else None

    # ---- init, plan, apply --------------------------------------------------------------

    def converge(self) -> str:
        """Init, plan, apply: the status."""
        self.own.mkdir(exist_ok=True)
        wanted = self.facts["terraform_version"]
        binary = find_terraform(wanted, self.s3, self.bucket, self.own, self.log)
        terraform = self.terraform = TerraformProcess(binary, self.folder, self.log, self.stop)
        self.version = terraform.version()
        self.log.note(
            f"run {self.facts['run']}, correlation id {self.facts['correlation_id']}, "
            f"Terraform {self.version} ({wanted} is configured)"
        )
        self.reach("init")
        self.release_orphaned_lock()
        self.init(terraform)
        self.push_former_state(terraform)
        self.reach("plan")
        plan = self.own / "plan"
        planned = terraform.converging(
            "plan", "-no-color", "-input=false", f"-out={plan}", "-detailed-exitcode", codes=(0, 2)
        )
        self.counts = self.counted(terraform, plan, planned.output)
        if planned.code == 0:
            return "unchanged"
        self.stop.check()
        self.reach("apply")
        self.s3.put(self.bucket, self.key("applying"), self.at["apply"].encode())
        terraform.run("apply", "-no-color", "-input=false", str(plan))
        return "applied"

    def init(self, terraform: TerraformProcess) -> None:
        """In the task's workspace, so that providers only its state still needs are installed too.
        Without state `init` would refuse that workspace, whereas `plan` creates it."""
        workspace = {"TF_WORKSPACE": self.task}
        has_state = self.s3.exists(self.facts["state_bucket"], self.facts["state_key"])
        if has_state:
            terraform.environment |= workspace
        options = backend_options(self.version, other_endpoint=bool(self.s3.endpoint))
        terraform.converging("init", "-no-color", "-input=false", *options)
        terraform.environment |= workspace

    def counted(self, terraform: TerraformProcess, plan: Path, said: str) -> dict[str, int]:
        """What the plan does. The JSON, which takes a while to make, is looked at only where
        there seems to be something that Terraform doesn't count."""
        counted = counts(said)
        if MOVED_OR_FORGOTTEN.search(said):
            try:
                counted |= moved_and_forgotten(terraform.planned(plan))
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                self.log.note(f"what is moved or forgotten was not counted: {error}")
        return counted

    def reach(self, step: str) -> None:
        self.step, self.at[step] = step, _now()

    # ---- a state that could not be stored -------------------------------------------------

    def push_former_state(self, terraform: TerraformProcess) -> None:
        """Before anything is planned: over an older state Terraform would make everything again."""
        marker = self.s3.get(self.bucket, self.unpushed)
        if marker is None:
            return
        run = marker.body.decode(errors="replace")
        name = f"runs/{self.task}/{run}/errored.tfstate"
        kept = self.s3.get(self.bucket, name)
        if kept is None:
            text = (
                f"run {run} could not store its state, and s3://{self.bucket}/{name} is not there"
            )
            raise RunError(f"{text}. {self.see_docs()}", retryable=False)
        state = _state(kept.body)
        if state is None:
            text = f"s3://{self.bucket}/{name} is no state of Terraform's"
            raise RunError(f"{text}. {self.see_docs()}", retryable=False)
        if not self.is_stored(state):
            self.push(terraform, kept.body, f"s3://{self.bucket}/{name}")
        self.s3.delete(self.bucket, self.unpushed, marker.etag)
        self.log.note(f"the state that run {run} could not store is in the state bucket now")

    def is_stored(self, ours: dict[str, Any]) -> bool:
        """Whether the state bucket has it. Raises RunError if a newer state is there."""
        theirs = self.stored_state()
        if theirs is None:
            return False
        if _is_same(ours, theirs):
            return True
        if theirs["serial"] > ours["serial"]:
            text = "the state bucket has a newer state than the one that a former run could not"
            raise RunError(f"{text} store. {self.see_docs()}", retryable=False)
        return False

    def stored_state(self) -> dict[str, Any] | None:
        """What the state bucket has; None if nothing readable."""
        stored = self.s3.get(self.facts["state_bucket"], self.facts["state_key"])
        return _state(stored.body) if stored else None

    def push(self, terraform: TerraformProcess, state: bytes, name: str) -> None:
        file = self.own / "errored.tfstate"
        file.write_bytes(state)
        try:
            terraform.run("state", "push", "-no-color", str(file))
        except RunError as failed:
            refused = NOT_TO_BE_PUSHED.search(str(failed))
            text = f"{name}, the state of a former run, could not be pushed: {failed}"
            text += f" {self.see_docs()}" if refused else ""
            self.log.note(f"nothing was planned: {text}")
            raise RunError(text, retryable=not refused, logged=True) from failed

    def see_docs(self) -> str:
        return (
            f"No run of {self.task} plans anything before s3://{self.bucket}/{self.unpushed} is "
            'deleted: see "A state that could not be stored" in docs/operations.md.'
        )

    def keep_state(self, error: str) -> tuple[str, bool] | None:
        """Put a state that Terraform could not store where it outlives the build: what to say of
        it, and whether the next run can push it. None if Terraform stored its state.

        The marker comes first: once it is there, no run plans over a state that is not."""
        state = self.unstored_state(error)
        if state is None:
            return None
        name = f"s3://{self.bucket}/{self.key('errored.tfstate')}"
        not_marked = self.problem_of_putting(self.unpushed, self.facts["run"].encode())
        not_kept = "Terraform left no state that can be read"
        if state:
            not_kept = self.problem_of_putting(self.key("errored.tfstate"), state)
        if not_kept:
            text = f"Its state could not be kept as {name} either: {not_kept}."
        else:
            text = f"Its state is kept as {name}"
            text += "." if not_marked else "; the next run pushes it before it plans."
        if not_marked:
            return f"{text} {self.is_unprotected(not_marked)}", False
        return (f"{text} {self.see_docs()}", False) if not_kept else (text, True)

    def is_unprotected(self, problem: str) -> str:
        return (
            f"Nothing keeps the next run of {self.task} from planning over an older state, because "
            f"s3://{self.bucket}/{self.unpushed} could not be put: {problem}. {LOOK_FIRST}"
        )

    def problem_of_putting(self, key: str, body: bytes) -> str:
        """Empty if there was none."""
        try:
            self.s3.put(self.bucket, key, body)
        except (OSError, RunError) as problem:
            return str(problem)
        return ""

    def unstored_state(self, error: str) -> bytes | None:
        """What the apply could not store: from Terraform's file, else as it printed it. Empty if
        neither can be read; None if the state bucket has it. What a module leaves or prints may
        look like it, but is another state."""
        if self.step != "apply":
            return None
        file = self.folder / "errored.tfstate"
        # Files' times are a few milliseconds behind.
        is_new = file.is_file() and file.stat().st_mtime > self.began - 1
        is_read = is_new and file.stat().st_size <= STATE_BYTES
        printed = self.terraform.printed_state.encode() if self.terraform else b""
        left = [file.read_bytes() if is_read else b"", printed]
        found = [(body, state) for body in left if (state := _state(body))]
        is_told = bool(NOT_STORED.search(error))
        for body, state in found:
            if self.is_missing(state, is_told=is_told):
                return body
        return b"" if is_told and (is_new or printed) and not found else None

    def is_missing(self, ours: dict[str, Any], *, is_told: bool) -> bool:
        """Whether it is the task's state, and the state bucket lacks it. When in doubt it is; but
        an older one that Terraform doesn't tell of is a module's copy."""
        try:
            theirs = self.stored_state()
        except RunError:
            return True
        if theirs is None:
            return True
        is_old = not is_told and ours["serial"] < theirs["serial"]
        is_ours = ours["lineage"] == theirs["lineage"] and not is_old
        return is_ours and not _is_same(ours, theirs)

    # ---- locks of the state ---------------------------------------------------------------

    def release_orphaned_lock(self) -> None:
        """A lock whose holder is a build that has ended is deleted, if it is still that lock.
        Any other lock may be alive."""
        bucket, key = self.facts["state_bucket"], self.lock
        for _ in range(3):
            lock = self.s3.get(bucket, key)
            if lock is None:
                return
            info = _record(lock.body) or {}
            created = _moment(info.get("Created"))
            if created is None or not all(info.get(each) for each in ("ID", "Who", "Operation")):
                what = f"s3://{bucket}/{key} is no lock of Terraform's"
                fix = "If nobody works on that state, delete it."
                raise RunError(f"{what}. {fix}", retryable=False)  # Only a person can tell.
            holder = f"{info['Who']} since {info['Created']} ({info['Operation']}, {info['ID']})"
            former = self.former_holder(info["Who"], created)
            if not former:
                raise RunError(f"the state is locked by {holder}, which is no build that has ended")
            if self.s3.delete(bucket, key, lock.etag):
                self.log.note(f"released the state lock that run {former} left: {holder}")
                return

    def former_holder(self, who: str, created: datetime) -> str | None:
        """The run that took the lock and has ended since."""
        for former in self.facts["former_runs"]:
            started = self.started(former["run"]) or {}
            began, ended = _moment(started.get("at")), _moment(former["ended_at"])
            if started.get("who") != who or began is None or ended is None:
                continue
            if began <= created <= ended + CLOCK_SKEW:
                return str(former["run"])
        return None

    def delete_former_locks(self) -> None:
        """The state bucket keeps versions, and each run leaves some of its lock. The latest stays:
        it may be a lock that somebody holds. Nothing depends on this."""
        bucket = self.facts["state_bucket"]
        try:
            if versions := self.s3_once.former_versions(bucket, self.lock):
                self.s3_once.delete_versions(bucket, self.lock, versions)
        except (RunError, ET.ParseError) as failed:
            self.log.note(f"former versions of the state's lock were not deleted: {failed}")

    # ---- what it leaves behind --------------------------------------------------------------

    def failure(self, failed: Exception) -> dict[str, Any]:
        """The result of a run that failed, with the state that Terraform could not store."""
        text, retryable = described(failed), getattr(failed, "retryable", True)
        if not getattr(failed, "logged", False):
            self.log.note(text)
        try:
            kept = self.keep_state(text)
        except Exception as unexpected:  # noqa: BLE001  the result must tell of both
            said = f"Whether its state is stored could not be told: {described(unexpected)}."
            kept = f"{said} {LOOK_FIRST}", False
        if kept is not None:
            self.log.note(kept[0])
            text, retryable = f"{text}\n\n{kept[0]}", kept[1]
        return {
            "status": "errored",
            "error": masked(text),
            "retryable": retryable,
            "errored_state": bool(kept and kept[1]),
        }

    def send_log(self) -> None:
        """Until the run is over, put the log again and again while it grows: the longer that takes,
        the less often."""
        pause = LOG_SECONDS
        while not self.over.wait(pause):
            began = time.monotonic()
            with suppress(RunError):  # The last put tells.
                self.put_log(self.s3_once)
            pause = max(LOG_SECONDS, 10 * (time.monotonic() - began))

    def put_log(self, s3: S3) -> None:
        # An older log must not arrive after a newer one, and none is worth waiting for ever.
        left = max(0, self.stop.ends_at - time.monotonic())
        if not self.log_lock.acquire(timeout=left / 2):
            raise RunError("an earlier put of it has not ended")
        try:
            length = self.log.length
            if length > self.log_sent:
                s3.put(self.bucket, self.key("log"), self.log.body())
                self.log_sent = length
        finally:
            self.log_lock.release()

    def put_result(self, result: dict[str, Any]) -> None:
        """Before the last of the log, which may be long."""
        self.at["ended"] = _now()
        self.over.set()
        record = result | {
            "build": self.build,
            "step": self.step,
            "counts": self.counts,
            "terraform": self.version,
            "at": self.at,
        }
        body = json.dumps(record, indent=1).encode()
        try:
            self.s3.put(self.bucket, self.key("result.json"), body)
        finally:
            self.put_last_log()

    def put_last_log(self) -> None:
        try:
            self.put_log(self.s3)
        except RunError as failed:
            self.log.note(f"the log was not stored: {failed}")

    def key(self, name: str) -> str:
        return f"runs/{self.task}/{self.facts['run']}/{name}"

    @property
    def unpushed(self) -> str:
        """Names the run whose state is to be pushed; it outlives the records of runs."""
        return f"unpushed/{self.task}"

    @property
    def lock(self) -> str:
        return f"{self.facts['state_key']}.tflock"


def _facts(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"reading {file}: {error}") from error
    return found


def described(failed: Exception) -> str:
    """Why a run failed, for people; what nobody expected is for the build's own log, too."""
    if isinstance(failed, RunError):
        return str(failed)
    with suppress(OSError):
        print(masked(traceback.format_exc()), file=sys.stderr)
    return f"the build failed unexpectedly: {type(failed).__name__}: {failed}"


def _record(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None if the text is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _state(body: bytes) -> dict[str, Any] | None:
    """A state of Terraform's; None if the text is none."""
    found = _record(body) or {}
    serial, lineage = found.get("serial"), found.get("lineage")
    return found if isinstance(serial, int) and isinstance(lineage, str) else None


def _is_same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Terraform raises the serial of what it pushes, and then refuses to push the same again."""
    written = dict.fromkeys(("serial", "terraform_version"))
    return ours | written == theirs | written


def _moment(text: object) -> datetime | None:
    """A time with its zone, as Terraform and S3 write it; None if the text is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _who() -> str:
    """As Terraform's lock names its holder."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = os.environ.get("USER", "")
    return f"{user}@{os.uname().nodename}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute a run's archive with Terraform.")
    parser.add_argument("--build", required=True, help="this build's id")
    parser.add_argument("--minutes", type=float, required=True, help="the build's time limit")
    parser.add_argument("--folder", type=Path, default=Path(), help="the unpacked archive")
    arguments = parser.parse_args()
    stop = Stop(arguments.minutes)
    signal.signal(signal.SIGTERM, lambda *_: stop.ask("the build was stopped"))
    try:
        return Execution(arguments.folder.resolve(), arguments.build, stop).execute()
    except Exception as failed:  # noqa: BLE001  even the result could not be stored
        print(masked(described(failed)), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
