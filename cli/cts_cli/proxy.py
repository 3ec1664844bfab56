"""A local port that serves the stack's API as CTS does: requests are signed and passed on, so that
scripts written for CTS work unchanged."""

import json
import re
import signal
import socket
import sys
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx

from cts_cli import client
from cts_cli.aws import Stack
from cts_cli.errors import CommandError, OlderStack
from cts_cli.output import err
from cts_cli.screen import Text

LARGEST_BODY = 6_000_000
"""In bytes. Lambda accepts no more in a request."""
TIMEOUT = httpx.Timeout(connect=5, write=60, pool=60, read=15 * 60)
"""In seconds. A function may run for 15 minutes, and CTS's requests wait for a run."""
IDLE = 60
"""Seconds after which a connection without a request is closed."""
READS = frozenset({"GET", "HEAD"})
"""Methods that the reader answers. The API answers all others."""
TO_STACK = ("Accept", "Content-Type", "Prefer")
FROM_STACK = ("Allow", "Content-Type", "Location", "Preference-Applied", "X-Content-Type-Options")
OWN_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?", re.IGNORECASE)
OTHER_SITES = frozenset({"cross-site", "same-site"})
"""Values of Sec-Fetch-Site, which browsers send."""


def address(listen: str) -> tuple[str, int]:
    """Host and port. Raises CommandError unless it is a loopback address: whoever reaches the port
    acts with the AWS credentials of the user who opened it."""
    try:
        url = urlsplit(f"//{listen}")
        host, port = url.hostname or "", url.port
    except ValueError:
        host, port = "", None
    if port is None or not host:
        raise CommandError(f"'{listen}' is not an address: write host and port: 127.0.0.1:8558")
    if not _is_loopback(host):
        raise CommandError(
            f"'{listen}' is not a loopback address: anyone who reached it could change tasks with "
            "your AWS credentials, so listen on 127.0.0.1"
        )
    return "127.0.0.1" if host == "localhost" else host, port


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def refusal(path: str, headers: Message) -> tuple[int, str] | None:
    """HTTP status and reason if a request is not passed on.

    A web page can make its visitor's browser send requests to a local port, even under the page's
    own host name, if it makes that resolve to the port's address.
    """
    host, length = headers.get("Host", ""), headers.get("Content-Length", "0")
    if not OWN_HOST.fullmatch(host):
        return 403, f"requests for host '{host}' are refused: use localhost or 127.0.0.1"
    if "Origin" in headers or headers.get("Sec-Fetch-Site") in OTHER_SITES:
        return 403, "requests from web pages are refused"
    if not path.startswith("/"):
        return 400, "the request must contain a path, such as /v1/status"
    if "Transfer-Encoding" in headers or not length.isdecimal():
        return 411, "the request must contain its length, as Content-Length"
    if int(length) > LARGEST_BODY:
        return 413, f"the body must have at most {LARGEST_BODY:,} bytes"
    return None


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stack: Stack, listen: tuple[str, int]) -> None:
        if not stack.api_url:
            raise OlderStack
        self.bases = {True: stack.reader_url.rstrip("/"), False: stack.api_url.rstrip("/")}
        """By whether the method only reads."""
        self.http = client.signing(stack.session, TIMEOUT)
        if ":" in listen[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(listen, Handler)
        except OSError as error:
            raise CommandError(
                f"can't listen on {listen[0]}:{listen[1]}: {error.strerror}; if CTS still runs "
                "there, stop it, or choose another port with --listen"
            ) from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The connection broke, which is the caller's business. Anything else is a bug."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    timeout = IDLE

    def pass_on(self) -> None:
        began = monotonic()
        code = self._answered()
        path, _, query = self.path.partition("?")
        asked = f"{self.command} {path}{'?…' if query else ''}"
        err().print(Text(f"{asked}  {code}  {monotonic() - began:.1f} s"))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = pass_on  # noqa: N815

    def _answered(self) -> int:
        if refused := refusal(self.path, self.headers):
            return self._refuse(*refused)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        url = self.server.bases[self.command in READS] + self.path
        headers = {name: self.headers[name] for name in TO_STACK if name in self.headers}
        try:
            found = self.server.http.request(self.command, url, content=body, headers=headers)
        except httpx.TransportError as error:
            return self._refuse(502, f"the stack can't be reached: {error}")
        except (CommandError, httpx.InvalidURL) as error:
            return self._refuse(502, str(error))
        given = {name: found.headers[name] for name in FROM_STACK if name in found.headers}
        return self._send(found.status_code, given, found.content)

    def _refuse(self, code: int, why: str) -> int:
        """What follows on the connection can't be relied on: the body may not have been read."""
        self.close_connection = True
        body = json.dumps({"error": {"message": why}}).encode() + b"\n"
        return self._send(code, {"Content-Type": "application/json", "Connection": "close"}, body)

    def _send(self, code: int, headers: Mapping[str, str], body: bytes) -> int:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return code

    def send_error(self, code: int, message: str | None = None, _: str | None = None) -> None:
        """What the base class refuses, such as a malformed request line. As in CTS, a method that
        it does not know is 405."""
        self.request_version = self.protocol_version  # HTTP/0.9 would get no status line
        known = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code
        self._refuse(known, message or self.responses[code][0])

    def version_string(self) -> str:
        return "cts"

    def log_message(self, *_: Any) -> None:
        """Requests are reported by `pass_on`."""


def serve(stack: Stack, listen: tuple[str, int]) -> None:
    """Until Ctrl-C or SIGTERM."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    with Proxy(stack, listen) as proxy:
        host, port = proxy.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        err().print(f"http://{shown}:{port} is stack '{stack.name}', with your AWS credentials")
        err().print("Press Ctrl-C to stop.", style="dim")
        try:
            proxy.serve_forever()
        except KeyboardInterrupt:
            err().print("stopped")
