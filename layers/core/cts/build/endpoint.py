"""A container's credentials endpoint, with the credentials of the run: AWS's libraries know it, and
ask again before credentials expire. Terraform and its providers find no others."""

import json
import secrets
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Protocol

from cts.build.credentials import Credentials

OTHERS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
"""Variables that come before those of `environment`."""


RUN = "/run"
"""The path of the run's own credentials."""


class HasCredentials(Protocol):
    def credentials(self) -> Credentials:
        """Raises ConnectionError without valid ones."""


class Endpoint(ThreadingTCPServer):
    """On the loopback interface, until the program ends. `run`: the run's own credentials; `task`:
    those that Terraform works with."""

    daemon_threads = True

    def __init__(self, run: HasCredentials, task: HasCredentials) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.run, self.task, self.token = run, task, secrets.token_urlsafe()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """That of a program which works for the run."""
        kept = {name: value for name, value in given.items() if name not in OTHERS}
        return kept | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.address}/",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token,
        }


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        if not secrets.compare_digest(self.headers.get("Authorization", ""), self.server.token):
            self._answer(403, {"code": "AccessDenied", "message": "wrong authorization token"})
            return
        source = self.server.run if self.path == RUN else self.server.task
        try:
            found = source.credentials()
        except ConnectionError as error:
            self._answer(503, {"code": "ExpiredToken", "message": str(error)})
            return
        self._answer(200, found.as_answer())

    def _answer(self, status: int, value: dict[str, str]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the log is for people."""
