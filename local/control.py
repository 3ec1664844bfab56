"""The front's control interface, `/_front/...`: JSON, for tests and for manual use."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from local.faults import BadRule, rule

if TYPE_CHECKING:
    from local.front import Front

PREFIX = "/_front/"
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def application(front: Front) -> Application:
    """The emulator's application, with the control interface in front of it."""
    from local import emulator

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await emulator.app(scope, receive, send)
        elif scope["path"].startswith(PREFIX):
            body = await _body(receive)
            query = {k: v[0] for k, v in parse_qs(scope["query_string"].decode()).items()}
            status, value = _handle(front, scope, query, body)
            await _send(send, status, value)
        else:
            emulator.peer.set(scope.get("client"))
            await emulator.app(scope, receive, send)

    return app


def _handle(
    front: Front, scope: Scope, query: dict[str, str], body: dict[str, Any]
) -> tuple[int, Any]:
    since = int(query.get("since", 0))
    handlers: dict[tuple[str, str], Callable[[], tuple[int, Any]]] = {
        ("GET", "calls"): lambda: (200, front.calls.since(since)),
        ("GET", "events"): lambda: (200, front.events.since(since)),
        ("GET", "builds"): lambda: (200, front.builds_engine.records()),
        ("GET", "credentials"): lambda: _credentials(front, scope),
        ("POST", "builds"): lambda: (200, front.builds_engine.settings(body)),
        ("GET", "faults"): lambda: (200, front.faults.listing()),
        ("POST", "faults"): lambda: _add_fault(front, body),
        ("DELETE", "faults"): lambda: _clear_faults(front),
        ("POST", "kill"): lambda: (200, {"killed": front.kill(body.get("function", ""))}),
        ("POST", "disks"): lambda: (200, _fill(front, **body)),
        ("POST", "fire"): lambda: _fire(front, body.get("function", "")),
        ("POST", "schedules"): lambda: (200, front.switch_schedules(body.get("enabled", True))),
    }
    method, path = scope["method"], scope["path"]
    handler = handlers.get((method, path.removeprefix(PREFIX)))
    return handler() if handler else (404, {"error": f"{method} {path} is not supported."})


def _credentials(front: Front, scope: Scope) -> tuple[int, Any]:
    sent = dict(scope["headers"]).get(b"authorization", b"").decode()
    found = front.builds_engine.credentials(sent)
    return (200, found) if found else (404, {"error": "No build has this authorization token."})


def _add_fault(front: Front, body: dict[str, Any]) -> tuple[int, Any]:
    try:
        return 200, {"id": front.faults.add(rule(body))}
    except BadRule as problem:
        return 400, {"error": str(problem)}


def _clear_faults(front: Front) -> tuple[int, Any]:
    front.faults.clear()
    return 200, {}


def _fill(front: Front, function: str, size: int) -> dict[str, int]:
    return {"filled": front.limit_files(function, size)}


def _fire(front: Front, function: str) -> tuple[int, Any]:
    fired = front.fire(function)
    if not fired:
        return 404, {"error": f"No schedule targets the function {function!r}."}
    return 200, {"fired": fired}


async def _body(receive: Receive) -> dict[str, Any]:
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        if not message.get("more_body"):
            break
    value: dict[str, Any] = json.loads(data or b"{}")
    return value


async def _send(send: Send, status: int, value: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(value, default=str).encode()})
