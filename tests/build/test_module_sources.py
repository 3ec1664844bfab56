"""Modules from private places: real Terraform and real Git, with credentials from references."""

import base64
import io
import json
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.build.conftest import Place
from tests.build.stores import Stores, storing
from tests.build.test_secret_runs import given

pytestmark = pytest.mark.slow
TOKEN, KEY = "canary-token-4711", "canary-key-0815"
MODULE = 'output "from" { value = "a private place" }\n'
ROOT = """
module "m" {
  source = "SOURCE"
}
resource "terraform_data" "one" { input = module.m.from }
"""
REGISTRY = "registry.example.com"
REFERENCE = '{{ env "TOKEN" }}'
SSH = """#!/bin/sh
# Notes how Git calls it, and does what the server would.
printf '%s\\n' "$@" > RECORD
cat "$2" > RECORD.key
for last; do :; done
exec sh -c "$last"
"""


@dataclass
class Site:
    """A server of files. `demands`: the header `Authorization` that all requests must have."""

    folder: Path
    url: str = ""
    demands: str = ""
    seen: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.site, self.path.partition("?")[0]
        given = self.headers.get("Authorization", "")
        site.seen.append((path, given))
        file = site.folder / path.strip("/")
        if site.demands and given != site.demands:
            self._answer(401, b"")
        elif path.endswith("/download"):
            self._answer(204, b"", f"{site.url}/m.zip")
        elif file.is_file():
            self._answer(200, file.read_bytes())
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, where: str = "") -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic")
        if where:
            self.send_header("X-Terraform-Get", where)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stores(place: Place) -> Iterator[Stores]:
    with storing() as stores:
        place.environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = stores.url
        stores.secrets["arn:task"] = json.dumps({"TOKEN": TOKEN, "KEY": KEY})
        yield stores


def archive_of(text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("main.tf", text)
    return content.getvalue()


def repository(folder: Path) -> Path:
    """A bare one with the module, also for Git's plain HTTP."""
    work, bare = folder / "work", folder / "m.git"
    work.mkdir(parents=True)
    (work / "main.tf").write_text(MODULE)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    nothing = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for command in (
        ("init", "--quiet", str(work)),
        ("-C", str(work), "add", "main.tf"),
        ("-C", str(work), *who, "commit", "--quiet", "-m", "module"),
        ("clone", "--quiet", "--bare", str(work), str(bare)),
        ("-C", str(bare), "update-server-info"),
    ):
        subprocess.run(["git", *command], check=True, env=nothing, capture_output=True)
    return bare


def root(place: Place, stores: Stores, source: str, run: str = "run-1", **facts: object) -> Path:
    return given(place.archive(run, ROOT.replace("SOURCE", source)), stores, **facts)


def assert_applied(place: Place, run: str = "run-1") -> None:
    assert place.result(run)["status"] == "applied", place.log(run)
    assert not any(secret in place.log(run) for secret in (TOKEN, KEY))


def test_an_archive_over_http(place: Place, stores: Stores, site: Site) -> None:
    (site.folder / "m.zip").write_bytes(archive_of(MODULE))
    assert place.build(root(place, stores, f"{site.url}/m.zip")) == 0, place.log("run-1")
    assert_applied(place)


def test_a_private_registry_gets_the_token_of_its_host(
    place: Place, stores: Stores, site: Site
) -> None:
    settings = Path(place.environment["TF_CLI_CONFIG_FILE"])
    services = f'host "{REGISTRY}" {{ services = {{ "modules.v1" = "{site.url}/v1/" }} }}\n'
    settings.write_text(settings.read_text() + services)
    versions = site.folder / "v1/acme/fw/test/versions"
    versions.parent.mkdir(parents=True)
    versions.write_text(json.dumps({"modules": [{"versions": [{"version": "1.0.0"}]}]}))
    (site.folder / "m.zip").write_bytes(archive_of(MODULE))
    source = f"{REGISTRY}/acme/fw/test"
    environment = {f"TF_TOKEN_{REGISTRY.replace('.', '_')}": REFERENCE}
    assert place.build(root(place, stores, source, environment=environment)) == 0
    assert_applied(place)
    of_registry = {who for path, who in site.seen if path.startswith("/v1/")}
    assert of_registry == {f"Bearer {TOKEN}"}
    assert [who for path, who in site.seen if path == "/m.zip"] == [""]


def test_git_over_http_sends_a_header_from_a_secret(
    place: Place, stores: Stores, site: Site
) -> None:
    repository(site.folder)
    user = base64.b64encode(f"token:{TOKEN}".encode()).decode()
    stores.secrets["arn:task"] = json.dumps({"TOKEN": TOKEN, "BASIC": user})
    site.demands = f"Basic {user}"
    environment = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{site.url}/.extraHeader",
        "GIT_CONFIG_VALUE_0": 'Authorization: Basic {{ env "BASIC" }}',
    }
    source = f"git::{site.url}/m.git"
    assert place.build(root(place, stores, source, environment=environment)) == 0, place.log(
        "run-1"
    )
    assert_applied(place)
    assert user not in place.log("run-1")


def test_git_over_http_takes_the_place_of_an_address_without_credentials(
    place: Place, stores: Stores, site: Site
) -> None:
    """So a module may itself use private modules, and its sources stay as they are."""
    repository(site.folder)
    host = site.url.removeprefix("http://")
    site.demands = f"Basic {base64.b64encode(f'git:{TOKEN}'.encode()).decode()}"
    environment = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.http://git:{REFERENCE}@{host}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://git.example.com/",
    }
    source = "git::https://git.example.com/m.git"
    assert place.build(root(place, stores, source, environment=environment)) == 0, place.log(
        "run-1"
    )
    assert_applied(place)


def test_git_without_credentials_fails_and_asks_nobody(
    place: Place, stores: Stores, site: Site
) -> None:
    repository(site.folder)
    site.demands = "Basic x"
    assert place.build(root(place, stores, f"git::{site.url}/m.git")) == 1
    result = place.result("run-1")
    assert result["step"] == "init"
    assert "could not read Username" in result["error"]


def test_git_over_ssh_uses_the_key(place: Place, stores: Stores, tmp_path: Path) -> None:
    bare = repository(tmp_path / "git")
    programs, record = tmp_path / "programs", tmp_path / "called"
    programs.mkdir()
    (programs / "ssh").write_text(SSH.replace("RECORD", str(record)))
    (programs / "ssh").chmod(0o755)
    place.environment["PATH"] = f"{programs}{os.pathsep}{place.environment['PATH']}"
    source = f"git::ssh://git@git.example.com{bare}"
    assert place.build(root(place, stores, source, git_ssh_key='{{ env "KEY" }}')) == 0
    assert_applied(place)
    called = record.read_text().splitlines()
    assert called[0] == "-i"
    assert "StrictHostKeyChecking=accept-new" in called
    assert called[-2:] == ["git@git.example.com", f"git-upload-pack '{bare}'"]
    assert record.with_suffix(".key").read_text() == f"{KEY}\n"
