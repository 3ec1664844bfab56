"""Modules from places that ask for a secret: a private registry, and Git over SSH."""

import io
import json
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.build.conftest import Place
from tests.build.stores import Stores, storing

pytestmark = pytest.mark.slow
MODULE = 'resource "terraform_data" "of_module" {}\n'
TOKEN, KEY = "registry-token-4711", "-----BEGIN KEY-----\nkey-of-the-task\n-----END KEY-----"
SSH = """#!/bin/sh
# The host and the command come last. Only whoever has the key is let in.
while [ "$1" = -i ] || [ "$1" = -o ]; do [ "$1" = -i ] && key=$2; shift 2; done
grep -q key-of-the-task "$key" || { echo 'Permission denied (publickey).' >&2; exit 255; }
[ "$(stat -c %a "$key")" = 600 ] || exit 254
shift
exec sh -c "$*"
"""


@pytest.fixture
def stores(place: Place) -> Iterator[Stores]:
    with storing() as stores:
        place.environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = stores.url
        stores.secrets["registry"], stores.secrets["key"] = TOKEN, KEY
        yield stores


def built(place: Place, source: str, version: str = "", **facts: object) -> int:
    archive = place.archive("run-1", f'module "m" {{\n  source = "{source}"\n{version}}}\n')
    known = json.loads((archive / "run.json").read_text())
    (archive / "run.json").write_text(json.dumps(known | facts))
    return place.build(archive)


class _Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body, headers = b"", {"Content-Type": "application/json"}
        if self.path == "/.well-known/terraform.json":
            body = b'{"modules.v1": "/modules/"}'
        elif self.path == "/m.zip":
            with zipfile.ZipFile(zipped := io.BytesIO(), "w") as archive:
                archive.writestr("main.tf", MODULE)
            body = zipped.getvalue()
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send_error(401)
            return
        elif self.path == "/modules/a/b/c/versions":
            body = b'{"modules": [{"versions": [{"version": "1.0.0"}]}]}'
        else:
            headers |= {"X-Terraform-Get": f"https://{self.headers['Host']}/m.zip"}
        self.send_response(200 if body else 204)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry(place: Place) -> Iterator[str]:
    """Its host. The program trusts its certificate."""
    key, certificate = place.folder / "registry.key", place.folder / "registry.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    place.environment["SSL_CERT_FILE"] = str(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("known", [True, False])
def test_a_token_for_a_private_registry_is_in_the_environment(
    place: Place, stores: Stores, registry: str, known: bool
) -> None:
    token = {f"TF_TOKEN_{registry}": "{{resolve:secretsmanager:registry}}"}
    version = '  version = "1.0.0"\n'
    code = built(place, f"{registry}/a/b/c", version, environment=token if known else {})
    assert code == (0 if known else 1), place.log("run-1")
    if known:
        assert place.resources() == ["of_module"]
    assert TOKEN not in place.log("run-1")


@pytest.mark.parametrize("known", [True, False])
def test_git_over_ssh_has_the_key_of_the_task(place: Place, stores: Stores, known: bool) -> None:
    repository, ssh = place.folder / "repository", place.folder / "bin" / "ssh"
    repository.mkdir()
    (repository / "main.tf").write_text(MODULE)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for command in (("init", "-q"), ("add", "main.tf"), (*author, "commit", "-qm", "First")):
        subprocess.run(["git", *command], cwd=repository, check=True)
    ssh.parent.mkdir()
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    place.environment["PATH"] = f"{ssh.parent}:{place.environment['PATH']}"
    key = "{{resolve:secretsmanager:key}}" if known else "{{resolve:secretsmanager:registry}}"
    code = built(place, f"git::ssh://git@git.example.com{repository}", git_ssh_key=key)
    assert code == (0 if known else 1), place.log("run-1")
    if known:
        assert place.resources() == ["of_module"]
    assert "key-of-the-task" not in place.log("run-1")
