"""Serves the stack's dashboard on the loopback interface, as long as the stack is up."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from local.dashboard import Dashboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack

PAGE = Path(__file__).parent / "page.html"
MOST_BYTES = 100_000


@contextmanager
def served(stack: Stack) -> Iterator[str]:
    """The page's address."""
    server = Server(stack)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Server(ThreadingHTTPServer):
    def __init__(self, stack: Stack) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stack = stack
        self.address = f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path != "/":
            self._answer(404, f"There is nothing at {escape(path)}.")
            return
        page = PAGE.read_text().replace("THEME", self._theme)
        widgets = Dashboard(self.server.stack).html(self._theme)
        self._answer(200, page.replace("WIDGETS", widgets))

    def do_POST(self) -> None:
        """A click. Only the page itself may ask: other pages that a user visits must not."""
        if self.headers.get("Origin") != self.server.address.rstrip("/"):
            self._answer(403, "Only the page may ask for this.")
            return
        size = min(int(self.headers.get("Content-Length", 0)), MOST_BYTES)
        try:
            asked = json.loads(self.rfile.read(size))
            dashboard = Dashboard(self.server.stack)
            self._answer(200, dashboard.invoke(asked["endpoint"], asked["values"], self._theme))
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, escape(str(error)))

    @property
    def _theme(self) -> str:
        asked = parse_qs(urlsplit(self.path).query).get("theme", [""])[0]
        return "dark" if asked == "dark" else "light"

    def _answer(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are not logged: they would be in between what `up` prints."""
