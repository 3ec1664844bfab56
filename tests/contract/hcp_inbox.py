"""Where notifications of HCP Terraform come in."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

from local.waiting import wait_until


class Inbox:
    """A function's URL, behind which the requests wait until a test hands them on."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                inbox.events.append(
                    {"requestContext": {}, "headers": headers, "body": body.decode()}
                )
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Tests are silent."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def about(self, trigger: str, nth: int = 1) -> dict[str, Any]:
        """The first one with this trigger, or the nth, as soon as it is there."""

        def found() -> dict[str, Any] | None:
            told = ((json.loads(each["body"]), each) for each in list(self.events))
            having = (e for b, e in told if b["notifications"][0]["trigger"] == trigger)
            return next(islice(having, nth - 1, None), None)

        return wait_until(found, 20, f"a notification about {trigger}")
