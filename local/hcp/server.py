"""The server's HTTP: tokens, rate limits, JSON:API."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

from local.hcp import runs, workspaces  # noqa: F401  (their routes are registered)
from local.hcp.errors import ApiError, not_found
from local.hcp.execution import Engine, terraform_environment
from local.hcp.routes import Reply, Request, Server, answer
from local.hcp.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message
    from pathlib import Path
    from types import TracebackType

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""
API = "/api/v2"
PER_SECOND, LISTS_PER_MINUTE = 30, 30
TOKENS = {"hcp-owner-token": "write", "hcp-person-token": "write", "hcp-reader-token": "read"}
"""Token -> what it may do. Each one belongs to another user."""


class Limiter:
    """How many requests a user has sent of each kind, in windows one after the other."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, user: str, kind: str, most: int, seconds: float) -> tuple[int, float]:
        """How many are left, -1 if there were none, and after how many seconds the window ends."""
        with self._lock:
            now = time.monotonic()
            began, sent = self._windows.get((user, kind), (now, 0))
            if now - began >= seconds:
                began, sent = now, 0
            self._windows[user, kind] = began, min(sent + 1, most)
            return most - sent - 1, began + seconds - now


class HcpServer:
    """Serves on a free port of the loopback interface. `env`: Terraform's environment."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.limiter = Limiter()
        self.answered: list[tuple[str, str, int]] = []
        """Method, path and status of each request, oldest first."""
        handler = type("Handler", (_Handler,), {"hcp": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.store = Store(folder)
        engine = Engine(self.store, terraform_environment(env or {}), self.address)
        self.api = Server(self.store, engine, self.address)

    def answer(
        self, method: str, target: str, headers: Message | Mapping[str, str], body: bytes
    ) -> Answer:
        """`target`: path and query. `headers` must find names in any case."""
        limits: dict[str, str] = {}
        try:
            reply = self._answer(method, target, headers, body, limits)
        except ApiError as error:
            reply = Reply(error.status, error.body)
        self.answered.append((method, urlsplit(target).path, reply.status))
        content = reply.raw if reply.body is None else json.dumps(reply.body).encode()
        kind = {"Content-Type": "application/vnd.api+json"}
        return reply.status, {**limits, **reply.headers, **kind}, content

    def _answer(
        self,
        method: str,
        target: str,
        headers: Message | Mapping[str, str],
        body: bytes,
        limits: dict[str, str],
    ) -> Reply:
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        kind, _, secret = url.path.removeprefix("/").partition("/")
        with self.store.lock:
            if kind == "_upload" and method == "PUT":
                return runs.uploaded(self.store, secret, body)
            if kind == "_logs":
                offset, limit = int(query.get("offset", 0)), int(query.get("limit", 1 << 30))
                return runs.log(self.store, secret, offset, limit)
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in TOKENS:
            raise ApiError(401, "unauthorized")
        user = f"user-{token.split('-')[1]}"
        self._limit(user, method, url.path, limits)
        if not url.path.startswith(API) or (method != "GET" and TOKENS[token] == "read"):
            raise not_found()  # what is forbidden is not revealed
        path = url.path.removeprefix(API)
        content = {} if method == "GET" else _json(headers, body)
        return answer(Request(self.api, method, path, query, content, user))

    def _limit(self, user: str, method: str, path: str, limits: dict[str, str]) -> None:
        lists = method == "GET" and path.endswith("/runs")
        most, seconds = (LISTS_PER_MINUTE, 60.0) if lists else (PER_SECOND, 1.0)
        left, reset = self.limiter.take(user, "lists" if lists else "all", most, seconds)
        limits["x-ratelimit-limit"] = str(most)
        limits["x-ratelimit-remaining"] = str(max(0, left))
        limits["x-ratelimit-reset"] = f"{reset:.3f}"
        if left < 0:
            error = ApiError(429, "Too many requests")
            error.body = {"errors": [{"status": 429, "title": "Too many requests"}]}
            raise error

    def serve(self) -> None:
        self._http.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self.api.engine.close()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _json(headers: Message | Mapping[str, str], body: bytes) -> dict[str, Any]:
    if headers.get("Content-Type") != "application/vnd.api+json":
        raise ApiError(415, "unsupported media type", "use application/vnd.api+json")
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise ApiError(400, "bad request", "the body is not JSON") from None
    return found if isinstance(found, dict) else {}


class _Handler(BaseHTTPRequestHandler):
    hcp: HcpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The list of answers is the log."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.hcp.answer(self.command, self.path, self.headers, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815
