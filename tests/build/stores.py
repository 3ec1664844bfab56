"""Where secrets are, scripted: Secrets Manager, Parameter Store, STS, Consul's KV store, Vault."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CONSUL_TOKEN, VAULT_TOKEN = "consul-token-4711", "vault-token-0815"


@dataclass
class Stores:
    """`seen`: what was asked: the operation or the path, and by whom."""

    url: str
    secrets: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    """Those of a version are named `name:version`."""
    kv: dict[str, str] = field(default_factory=dict)
    vault: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Data by path, with `data/` for KV version 2, whose mount is `kv2`."""
    wrapped: str = ""
    """The token that `VAULT_TOKEN` wraps."""
    roles: set[str] = field(default_factory=set)
    """Those that may be assumed."""
    down: dict[str, int] = field(default_factory=dict)
    """What of `seen` is down: how many requests are still answered so."""
    redirect: str = ""
    """Where Vault sends everybody."""
    seen: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def storing(tls: ssl.SSLContext | None = None) -> Iterator[Stores]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if tls:
        # Handshakes in the threads of connections: one that fails stops no other.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "https" if tls else "http"
    stores = Stores(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    server.stores = stores  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stores
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client may leave at any time, and some refuse the certificate."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def stores(self) -> Stores:
        return self.server.stores  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        target = self.headers.get("X-Amz-Target", "AssumeRole")
        if self._is_down(target, key):
            return
        if target == "AssumeRole":
            self._assume({name: value for name, [value] in parse_qs(body).items()})
        elif target == "secretsmanager.GetSecretValue":
            name = json.loads(body)["SecretId"]
            self._found(self.stores.secrets.get(name), "ResourceNotFoundException", "SecretString")
        else:
            name = json.loads(body)["Name"]
            value = self.stores.parameters.get(name)
            parameter = {"Value": value} if value is not None else None
            self._found(parameter, "ParameterNotFound", "Parameter")

    def do_PUT(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("X-Consul-Token") or self.headers.get("X-Vault-Token") or ""
        if self._is_down(path, token):
            return
        if path.startswith("/v1/kv/"):
            self._consul(path.removeprefix("/v1/kv/"), token)
        elif self.stores.redirect:
            self._answer(307, b"", Location=f"{self.stores.redirect}{self.path}")
        else:
            self._vault(path.removeprefix("/v1/"), token)

    def _consul(self, key: str, token: str) -> None:
        if token != CONSUL_TOKEN:
            self._answer(403, b"Permission denied: no read access")
        elif (value := self.stores.kv.get(key)) is None:
            self._answer(404, b"")
        else:
            row = {"Key": key, "Value": base64.b64encode(value.encode()).decode()}
            self._json(200, [row])

    def _vault(self, path: str, token: str) -> None:
        if path == "sys/wrapping/unwrap" and self.stores.wrapped:
            unwrapped, self.stores.wrapped = self.stores.wrapped, ""
            self._json(200, {"auth": {"client_token": unwrapped}})
        elif token != VAULT_TOKEN:
            self._json(403, {"errors": ["permission denied"]})
        elif path.startswith("sys/internal/ui/mounts/"):
            mount = path.removeprefix("sys/internal/ui/mounts/").partition("/")[0]
            options = {"version": "2"} if mount == "kv2" else None
            self._json(200, {"data": {"path": f"{mount}/", "options": options}})
        elif path in self.stores.vault:
            self._json(200, {"data": self.stores.vault[path]})
        else:
            self._json(404, {"errors": []})

    def _assume(self, given: dict[str, str]) -> None:
        role = given["RoleArn"]
        if role not in self.stores.roles:
            error = "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>"
            self._answer(403, f"<ErrorResponse>{error}</ErrorResponse>".encode())
            return
        expires = datetime.now(UTC) + timedelta(hours=1)
        values = {
            "AccessKeyId": f"ROLE-{given['RoleSessionName']}",
            "SecretAccessKey": "s",
            "SessionToken": "t",
            "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        }
        inside = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
        xmlns = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
        answer = f"<AssumeRoleResponse {xmlns}><Credentials>{inside}</Credentials>"
        self._answer(200, f"{answer}</AssumeRoleResponse>".encode())

    def _found(self, value: Any, missing: str, name: str) -> None:
        if value is None:
            self._json(400, {"__type": missing, "Message": "it is not there"})
        else:
            self._json(200, {name: value})

    def _is_down(self, what: str, who: str) -> bool:
        self.stores.seen.append((what, who))
        if not self.stores.down.get(what):
            return False
        self.stores.down[what] -= 1
        self._json(503, {"errors": ["down"]})
        return True

    def _json(self, status: int, value: Any) -> None:
        self._answer(status, json.dumps(value).encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
