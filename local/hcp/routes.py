"""Requests, answers, and which function answers which request."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.hcp.errors import not_found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.hcp.execution import Engine
    from local.hcp.store import Store

MOST_OF_A_PAGE, USUAL_PAGE = 100, 20


@dataclass(frozen=True)
class Server:
    store: Store
    engine: Engine
    address: str


@dataclass(frozen=True)
class Request:
    server: Server
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    user: str
    """ID of whom the token belongs to."""

    @property
    def attributes(self) -> dict[str, Any]:
        data = self.body.get("data")
        return dict(data.get("attributes") or {}) if isinstance(data, dict) else {}

    def related(self, name: str) -> str:
        """The ID of a relationship; empty if there is none."""
        data = self.body.get("data", {}).get("relationships", {}).get(name, {}).get("data") or {}
        return str(data.get("id", ""))


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any] | None = None
    raw: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


ROUTES: list[tuple[str, re.Pattern[str], Any]] = []


def route(method: str, path: str) -> Callable[[Any], Any]:
    """`path`: below /api/v2, with `*` for each argument."""
    pattern = re.compile(re.escape(path).replace(r"\*", "([^/]+)"))

    def register(handler: Any) -> Any:
        ROUTES.append((method, pattern, handler))
        return handler

    return register


def answer(request: Request) -> Reply:
    for method, pattern, handler in ROUTES:
        found = pattern.fullmatch(request.path)
        if found and method == request.method:
            with request.server.store.lock:
                reply: Reply = handler(request, *found.groups())
                return reply
    raise not_found()


def one(resource: dict[str, Any], status: int = 200, included: Sequence[Any] = ()) -> Reply:
    more = {"included": list(included)} if included else {}
    return Reply(status, {"data": resource, **more})


def page(request: Request, found: Sequence[dict[str, Any]]) -> Reply:
    size = min(int(request.query.get("page[size]", USUAL_PAGE)), MOST_OF_A_PAGE)
    number = int(request.query.get("page[number]", 1))
    pages = max(1, math.ceil(len(found) / size))
    shown = list(found[(number - 1) * size : number * size])
    pagination = {
        "current-page": number,
        "prev-page": number - 1 or None,
        "next-page": number + 1 if number < pages else None,
        "total-pages": pages,
        "total-count": len(found),
    }
    return Reply(200, {"data": shown, "meta": {"pagination": pagination}})
