"""Executes one run of a task with Terraform, in a folder that holds the unpacked archive.

Python 3.11, its standard library only, and this one file: it travels inside the archive. It
doesn't know where it runs: the folder, its own identity and its time limit are arguments. What it
leaves behind lies under `runs/<task>/<run>/` of the work bucket, in this order:

* `started`      whose run this is; the second build of a run finds it and does nothing
* `applying`     put just before `terraform apply` begins
* `log`          everything Terraform said, put again after each step
* `result.json`  how it ended

Exits with 0 if the run was applied, changed nothing, or belongs to another build; else with 1.
"""

import argparse
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
import urllib.error
import urllib.request
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

RELEASES = "https://releases.hashicorp.com/terraform"
ERROR_CHARACTERS = 4096
CLOCK_SKEW = timedelta(seconds=5)
PLANNED = re.compile(r"^Plan: .*?(\d+) to add, (\d+) to change, (\d+) to destroy", re.MULTILINE)


class RunError(Exception):
    """A sentence: what was being done, then what came back."""

    def __init__(self, text: str, *, retryable: bool = True) -> None:
        super().__init__(text)
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Credentials:
    key_id: str
    secret: str
    token: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    body: bytes
    etag: str


class S3:
    """A few calls of S3, signed (Signature Version 4). Conflicts, throttling, server errors and
    broken connections are tried again for about half a minute."""

    ATTEMPTS = 8

    def __init__(self, region: str) -> None:
        self.region = region
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._credentials: Credentials | None = None

    def get(self, bucket: str, key: str) -> Stored | None:
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

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Stored | None:
        """The answer; None for a status in `accept`."""
        for attempt in range(self.ATTEMPTS):
            if attempt:
                time.sleep(0.1 * 2**attempt)
            try:
                request = self._request(method, bucket, key, body, headers or {})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return Stored(answer.read(), answer.headers.get("ETag", ""))
            except urllib.error.HTTPError as error:
                with error:
                    problem = f"HTTP {error.code} {_s3_error(error.read())}".rstrip()
                if error.code in accept:
                    return None
                if error.code < 500 and error.code not in (409, 429):
                    raise RunError(f"{method} s3://{bucket}/{key}: {problem}") from None
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
        raise RunError(f"{method} s3://{bucket}/{key}: {problem}")

    def _request(
        self, method: str, bucket: str, key: str, body: bytes, headers: dict[str, str]
    ) -> urllib.request.Request:
        if self.endpoint:
            url = f"{self.endpoint.rstrip('/')}/{bucket}/{quote(key)}"
        else:
            china = ".cn" if self.region.startswith("cn-") else ""
            url = f"https://{bucket}.s3.{self.region}.amazonaws.com{china}/{quote(key)}"
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
        canonical = f"{method}\n{parts.path}\n\n{lines}\n{names}\n{digest}"
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
    request = urllib.request.Request(url)
    if authorization := env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
    except OSError as error:  # Not HTTPError, which the caller would take for S3's answer.
        raise ConnectionError(f"fetching AWS credentials from {url}: {error}") from error
    expires = datetime.fromisoformat(found["Expiration"])
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], expires)


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


class Log:
    """What people read later: a file, and standard output meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(text)
            print(text, end="", flush=True)

    def note(self, text: str) -> None:
        self.write(f"[{_now()}] {text}\n")


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    output: str
    errors: str


class Terraform:
    """The program, in the folder of the root module."""

    def __init__(self, binary: str, folder: Path, log: Log, stop: Stop) -> None:
        self.binary, self.folder, self.log, self.stop = binary, folder, log, stop
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
        except (OSError, subprocess.CalledProcessError, ValueError, KeyError) as error:
            raise RunError(f"running {self.binary} version -json: {error}") from error

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
        """How the command ended, if with one of `codes` and uninterrupted."""
        self.stop.check()
        self.log.note("terraform " + " ".join(arguments))
        ended = self._ended(arguments)
        if self.stop.reason or ended.code not in codes:
            stopped = f", interrupted because {self.stop.reason}" if self.stop.reason else ""
            raise RunError(f"terraform {arguments[0]}{stopped}: {_reason(ended)}")
        return ended

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
        output, errors = Copied(process.stdout, self.log), Copied(process.stderr, self.log)
        return Ended(self.stop.wait(process), output.text(), errors.text())


class Copied(threading.Thread):
    """A stream's text, copied to the log while it comes."""

    def __init__(self, stream: IO[str] | None, log: Log) -> None:
        super().__init__(daemon=True)
        self.stream, self.log = stream or (), log
        self.lines: list[str] = []
        self.start()

    def run(self) -> None:
        for line in self.stream:
            self.lines.append(line)
            self.log.write(line)

    def text(self) -> str:
        # Not for ever: a program a module left in the background may hold the stream open.
        self.join(timeout=5)
        return "".join(self.lines)


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


def counts(plan: str) -> dict[str, int]:
    """Of `Plan: 1 to add, 0 to change, 0 to destroy.`; no such line: only outputs change."""
    found = PLANNED.findall(plan)
    numbers = map(int, found[-1] if found else (0, 0, 0))
    return dict(zip(("add", "change", "destroy"), numbers, strict=True))


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
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        binary.write_bytes(archive.read("terraform"))
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


class Run:
    """One build's attempt at one run."""

    def __init__(self, folder: Path, build: str, stop: Stop) -> None:
        self.folder, self.build, self.stop = folder, build, stop
        self.facts: dict[str, Any] = json.loads((folder / "run.json").read_text())
        self.task: str = self.facts["task"]
        self.bucket: str = self.facts["work_bucket"]
        self.s3 = S3(self.facts["region"])
        self.own = folder / ".build"
        self.own.mkdir(exist_ok=True)
        self.log = Log(self.own / "log")
        self.step, self.at = "start", {"started": _now()}
        self.counts: dict[str, int] | None = None
        self.version = ""

    def execute(self) -> int:
        """The exit code."""
        if not self.begin():
            return 0
        try:
            result = {"status": self.converge(), "error": None, "retryable": False}
            self.step = "done"
        except RunError as failed:
            result = {"status": "errored", "error": str(failed), "retryable": failed.retryable}
            self.log.note(str(failed))
        self.put_result(result)
        return 1 if result["status"] == "errored" else 0

    def begin(self) -> bool:
        """Whether this run is this build's. The put decides; one that was repeated after a lost
        answer is refused too, so a refused one reads whom the object names."""
        mine = {"build": self.build, "who": _who(), "at": self.at["started"]}
        if self.s3.put_if_absent(self.bucket, self.key("started"), json.dumps(mine).encode()):
            return True
        stored = self.s3.get(self.bucket, self.key("started"))
        named = json.loads(stored.body) if stored else {}
        if named.get("build") == self.build:
            self.at["started"] = named["at"]
            return True
        owner = named.get("build")
        why = f"build {owner} has it" if owner else "it was given up before its build began"
        self.log.note(f"run {self.facts['run']} is not this build's: {why}. Nothing was done.")
        return False

    def converge(self) -> str:
        """Init, plan, apply: the status."""
        wanted = self.facts["terraform_version"]
        binary = find_terraform(wanted, self.s3, self.bucket, self.own, self.log)
        terraform = Terraform(binary, self.folder, self.log, self.stop)
        self.version = terraform.version()
        self.log.note(
            f"run {self.facts['run']}, correlation id {self.facts['correlation_id']}, "
            f"Terraform {self.version} ({wanted} is configured)"
        )
        self.reach("init")
        self.release_orphaned_lock()
        self.init(terraform)
        self.reach("plan")
        plan = self.own / "plan"
        planned = terraform.run(
            "plan", "-no-color", "-input=false", f"-out={plan}", "-detailed-exitcode", codes=(0, 2)
        )
        self.counts = counts(planned.output)
        if planned.code == 0:
            return "unchanged"
        self.stop.check()
        self.reach("apply")
        self.s3.put(self.bucket, self.key("applying"), self.at["apply"].encode())
        terraform.run("apply", "-no-color", "-input=false", str(plan))
        return "applied"

    def init(self, terraform: Terraform) -> None:
        """In the task's workspace, so that providers only its state still needs are installed too.
        Without state `init` would refuse that workspace, whereas `plan` creates it."""
        workspace = {"TF_WORKSPACE": self.task}
        has_state = self.s3.exists(self.facts["state_bucket"], self.facts["state_key"])
        if has_state:
            terraform.environment |= workspace
        options = backend_options(self.version, other_endpoint=bool(self.s3.endpoint))
        terraform.run("init", "-no-color", "-input=false", *options)
        terraform.environment |= workspace

    def release_orphaned_lock(self) -> None:
        """A lock whose holder is a build that has ended is deleted, if it is still that lock.
        Any other lock may be alive."""
        bucket, key = self.facts["state_bucket"], f"{self.facts['state_key']}.tflock"
        for _ in range(3):
            lock = self.s3.get(bucket, key)
            if lock is None:
                return
            info = json.loads(lock.body)
            holder = f"{info['Who']} since {info['Created']} ({info['Operation']}, {info['ID']})"
            former = self.former_holder(info)
            if not former:
                raise RunError(f"the state is locked by {holder}, which is no build that has ended")
            if self.s3.delete(bucket, key, lock.etag):
                self.log.note(f"released the state lock that run {former} left: {holder}")
                return

    def former_holder(self, lock: dict[str, Any]) -> str | None:
        """The run that took the lock and has ended since."""
        created = datetime.fromisoformat(lock["Created"])
        for former in self.facts["former_runs"]:
            key = f"runs/{self.task}/{former['run']}/started"
            stored = self.s3.get(self.bucket, key)
            started = json.loads(stored.body) if stored else {}
            if started.get("who") != lock["Who"]:
                continue
            ended = datetime.fromisoformat(former["ended_at"]) + CLOCK_SKEW
            if datetime.fromisoformat(started["at"]) <= created <= ended:
                return str(former["run"])
        return None

    def reach(self, step: str) -> None:
        self.put_log()
        self.step, self.at[step] = step, _now()

    def put_log(self) -> None:
        try:
            self.s3.put(self.bucket, self.key("log"), self.log.path.read_bytes())
        except RunError as failed:
            self.log.note(f"the log so far was not stored: {failed}")

    def put_result(self, result: dict[str, Any]) -> None:
        self.at["ended"] = _now()
        self.put_log()
        record = result | {
            "build": self.build,
            "step": self.step,
            "counts": self.counts,
            "terraform": self.version,
            "at": self.at,
        }
        body = json.dumps(record, indent=1).encode()
        self.s3.put(self.bucket, self.key("result.json"), body)

    def key(self, name: str) -> str:
        return f"runs/{self.task}/{self.facts['run']}/{name}"


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
        return Run(arguments.folder.resolve(), arguments.build, stop).execute()
    except RunError as failed:
        print(failed, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
