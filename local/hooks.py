"""The requests, responses and events that pass through the front, and the hooks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Response = tuple[int, dict[str, str], Any]
"""Status, headers and body."""


@dataclass(frozen=True, slots=True)
class Request:
    """One AWS request. `principal` is the caller's ARN; "" if its key is unknown."""

    service: str
    action: str
    resource: str
    principal: str
    path: str
    body: bytes


class Hooks(Protocol):
    async def around_request(
        self, request: Request, proceed: Callable[[], Awaitable[Response]]
    ) -> Response: ...

    def around_delivery(
        self, target: str, event: dict[str, Any], deliver: Callable[[], None]
    ) -> None: ...

    def event_put(self, event: dict[str, Any]) -> None: ...

    def builds(self, action: str, request: dict[str, Any]) -> Response | None: ...

    def schedules_enabled(self) -> bool: ...

    def worker_said(self, function: str, line: str) -> None: ...
