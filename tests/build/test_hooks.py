"""What follows an apply that changed something: a program, and a commit on a firewall."""

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest

from cts.build.errors import RunError
from cts.build.log import Log
from cts.build.panos import Panos
from cts.build.stop import Stop
from tests.build.conftest import TASK, Place, kill, until

ONE = 'resource "terraform_data" "one" {}\n'
OUTPUT = 'output "x" {\n  value = "a"\n}\n'
SAYS = ["sh", "-c", 'echo "$CTS_TASK $CTS_RUN_ID $PWD" >> "$HOME/said"; echo told; echo well >&2']
Commit = Callable[..., None]
OWED = f"work/unfinished/{TASK}/after_apply"


def archive(place: Place, run: str, main: str, **facts: object) -> Path:
    folder = place.archive(run, main)
    file = folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))
    return folder


def said(place: Place) -> list[str]:
    file = place.folder / "said"
    return file.read_text().splitlines() if file.exists() else []


def test_a_program_follows_an_apply(place: Place) -> None:
    folder = archive(place, "run-1", ONE, after_apply=SAYS)
    assert place.build(folder) == 0
    assert said(place) == [f"{TASK} run-1 {folder}"]
    assert "told\n" in place.log("run-1")
    assert "well\n" in place.log("run-1")
    assert OWED not in place.s3.objects
    assert list(place.result("run-1")["at"])[-2:] == ["after_apply", "ended"]


@pytest.mark.parametrize("timeout", ["10s", "nan", "-1", "1e9"])
def test_a_timeout_that_is_no_number_of_seconds_is_a_mistake(tmp_path: Path, timeout: str) -> None:
    given = {"hostname": "fw", "username": "admin", "timeout": timeout}
    with pytest.raises(RunError, match="timeout of the provider panos must be a number") as error:
        Panos(given, {}, tmp_path)
    assert not error.value.retryable


def test_it_runs_in_the_folder_of_a_local_module(place: Place) -> None:
    folder = archive(place, "run-1", ONE, after_apply=["./notify.sh"])
    module = folder / "modules" / TASK
    module.mkdir(parents=True)
    (module / "notify.sh").write_text('#!/bin/sh\npwd >> "$HOME/said"\n')
    (module / "notify.sh").chmod(0o755)
    assert place.build(folder) == 0
    assert said(place) == [str(module)]


@pytest.mark.parametrize("main", ["", OUTPUT], ids=["nothing", "an-output"])
def test_it_does_not_follow_what_changed_nothing(place: Place, main: str) -> None:
    assert place.build(archive(place, "run-1", main, after_apply=SAYS)) == 0
    assert said(place) == []


def test_one_that_failed_is_done_by_the_next_run(place: Place) -> None:
    fails = ["sh", "-c", "echo no such channel >&2; exit 3"]
    assert place.build(archive(place, "run-1", ONE, after_apply=fails)) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"]) == ("errored", "after_apply")
    assert result["retryable"] is True
    assert result["error"] == "after_apply sh ended with code 3: no such channel"
    assert place.build(archive(place, "run-2", ONE, after_apply=SAYS), "project:2") == 0
    assert place.result("run-2")["status"] == "unchanged"
    assert len(said(place)) == 1
    assert place.build(archive(place, "run-3", ONE, after_apply=SAYS), "project:3") == 0
    assert len(said(place)) == 1


def test_one_whose_build_was_killed_is_done_by_the_next_run(place: Place) -> None:
    waits = ["sh", "-c", 'touch "$HOME/waits"; exec sleep 300']
    process = place.start(archive(place, "run-1", ONE, after_apply=waits))
    until((place.folder / "waits").exists)
    kill(process)
    assert place.build(archive(place, "run-2", ONE, after_apply=SAYS), "project:2") == 0
    assert len(said(place)) == 1


def test_a_program_that_is_not_there_is_not_tried_again(place: Place) -> None:
    assert place.build(archive(place, "run-1", ONE, after_apply=["nosuch"])) == 1
    result = place.result("run-1")
    assert (result["step"], result["retryable"]) == ("after_apply", False)
    assert "nosuch" in result["error"]
    assert result["because"] == "the program can't be started"


# ---- the firewall ---------------------------------------------------------------------------


@dataclass
class Firewall:
    """The part of its XML API that a commit needs."""

    port: int
    admins: dict[str, str] = field(default_factory=lambda: {"admin": "hunter2"})
    pending: set[str] = field(default_factory=set)
    """Administrators with changes that are not committed."""
    committed: list[str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)
    """Answers to the next commits."""
    job_fails: list[bool] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    """Job -> how often it was asked for."""

    def answer(self, form: dict[str, str]) -> str:
        self.asked.append(form)
        match form["type"]:
            case "keygen":
                if self.admins.get(form["user"]) != form["password"]:
                    return response("error", "<result><msg>Invalid Credential</msg></result>", 403)
                return response("success", f"<result><key>key-{form['user']}</key></result>")
            case _ if form.get("key") != "key-admin":
                return response("error", "<result><msg>Invalid Credential</msg></result>", 403)
            case "commit":
                return self.commit(ET.fromstring(form["cmd"]))
            case _:
                return self.show(ET.fromstring(form["cmd"]).findtext("jobs/id") or "")

    def commit(self, command: ET.Element) -> str:
        if self.failing:
            return self.failing.pop(0)
        admin = command.findtext("partial/admin/member") or ""
        if admin not in self.pending:
            return response("success", "<msg>There are no changes to commit.</msg>", 19)
        job = str(len(self.jobs) + 1)
        self.jobs[job] = 0
        return response(
            "success", f"<result><msg><line>enqueued</line></msg><job>{job}</job></result>"
        )

    def show(self, job: str) -> str:
        self.jobs[job] += 1
        if self.jobs[job] < 3:
            return response(
                "success", "<result><job><status>ACT</status><result>PEND</result></job></result>"
            )
        if self.job_fails and self.job_fails.pop(0):
            told = "<details><line>Validation Error: zone dmz</line></details>"
            inside = f"<job><status>FIN</status><result>FAIL</result>{told}</job>"
            return response("success", f"<result>{inside}</result>")
        self.pending.discard("admin")
        self.committed.append("admin")
        return response(
            "success", "<result><job><status>FIN</status><result>OK</result></job></result>"
        )


def response(status: str, inside: str, code: int = 0) -> str:
    return f'<response status="{status}" code="{code}">{inside}</response>'


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        answer = self.server.firewall.answer(form).encode()  # type: ignore[attr-defined]
        self.send_response(200 if self.path == "/api/" else 404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the firewall's own making, as most have."""
    folder = tmp_path_factory.mktemp("firewall")
    file = folder / "firewall.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-subj", "/CN=firewall"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-keyout", str(file), "-out", str(folder / "crt")),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + (folder / "crt").read_text())
    return file


@pytest.fixture
def firewall(certificate: Path) -> Iterator[Firewall]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    firewall = Firewall(server.server_address[1], pending={"admin", "somebody"})
    server.firewall = firewall  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield firewall
    server.shutdown()
    thread.join()
    server.server_close()


def arguments(firewall: Firewall, **more: object) -> dict[str, object]:
    return {"hostname": "127.0.0.1", "port": firewall.port, "username": "admin", **more}


def test_a_build_commits_what_it_changed_on_a_firewall(place: Place, firewall: Firewall) -> None:
    folder = archive(place, "run-1", 'variable "panos" {}\n' + ONE, commit="panos")
    given = {"panos": arguments(firewall, password="hunter2", auto_commit=True)}
    (folder / "secret.auto.tfvars.json").write_text(json.dumps(given))
    assert place.build(folder) == 0
    assert firewall.committed == ["admin"]
    assert firewall.pending == {"somebody"}
    assert "job 1 is done" in place.log("run-1")
    assert "hunter2" not in place.log("run-1")
    assert OWED not in place.s3.objects


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commit:
    monkeypatch.setattr("cts.build.panos.POLL_SECONDS", 0.0)
    monkeypatch.setattr(Stop, "pause", lambda *_: None)

    def commit(given: dict[str, object], environment: dict[str, str] | None = None) -> None:
        Panos(given, environment or {}, tmp_path).commit(Log(), Stop(60))

    return commit


def test_the_environment_says_what_the_arguments_do_not(
    committed: Commit, firewall: Firewall
) -> None:
    environment = {
        "PANOS_HOSTNAME": "127.0.0.1",
        "PANOS_PORT": str(firewall.port),
        "PANOS_USERNAME": "admin",
        "PANOS_API_KEY": "key-admin",
    }
    committed({"hostname": None}, environment)
    assert firewall.committed == ["admin"]
    assert {each["type"] for each in firewall.asked} == {"commit", "op"}


def test_a_file_says_what_neither_does(
    committed: Commit, firewall: Firewall, tmp_path: Path
) -> None:
    (tmp_path / "panos.json").write_text(json.dumps(arguments(firewall, api_key="key-admin")))
    committed({"json_config_file": "panos.json"})
    assert firewall.committed == ["admin"]


@pytest.mark.parametrize("code", ["success", "custom-role"])
def test_nothing_to_commit_is_no_failure(committed: Commit, firewall: Firewall, code: str) -> None:
    firewall.pending.clear()
    if code == "custom-role":
        firewall.failing = [response("success", "<result></result>", 13)]
    committed(arguments(firewall, api_key="key-admin"))
    assert firewall.committed == []


def test_a_commit_is_tried_four_times_more(committed: Commit, firewall: Firewall) -> None:
    locked = response("error", "<msg><line>A commit is in progress</line></msg>", 13)
    firewall.failing = [locked] * 4
    committed(arguments(firewall, api_key="key-admin"))
    assert firewall.committed == ["admin"]
    firewall.pending.add("admin")
    firewall.failing = [locked] * 5
    with pytest.raises(RunError, match="A commit is in progress"):
        committed(arguments(firewall, api_key="key-admin"))


def test_a_job_that_fails_says_why(committed: Commit, firewall: Firewall) -> None:
    firewall.job_fails = [True] * 5
    with pytest.raises(RunError, match="Validation Error: zone dmz") as failed:
        committed(arguments(firewall, api_key="key-admin"))
    assert failed.value.retryable


def test_a_certificate_is_verified_if_that_is_asked_for(
    committed: Commit, firewall: Firewall
) -> None:
    with pytest.raises(RunError, match="certificate verify failed"):
        committed(arguments(firewall, api_key="key-admin", verify_certificate=True))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"username": "admin"}, "no hostname; set it, or PANOS_HOSTNAME"),
        ({"hostname": "127.0.0.1"}, "no username; set it, or PANOS_USERNAME"),
        ({"hostname": "127.0.0.1", "username": "admin"}, "neither api_key nor password"),
        ({"json_config_file": "absent.json"}, "absent.json"),
    ],
)
def test_what_is_missing_is_named(
    committed: Commit, given: dict[str, object], missing: str
) -> None:
    with pytest.raises(RunError, match=missing) as failed:
        committed(given)
    assert not failed.value.retryable
