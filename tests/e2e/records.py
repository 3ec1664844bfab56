"""What the front recorded of a stack: calls and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cts.events import SOURCE
from tests import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.stack import Stack

LATEST = -1
"""As a number to begin after: the newest entry alone."""
PERSON = "ann"
"""The session of each person with a role of their own."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in the front's records."""

    call: int
    event: int


class Records:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def mark(self) -> Mark:
        calls, events = self.stack.calls(LATEST), self.stack.events(LATEST)
        return Mark(calls[-1]["n"] if calls else 0, events[-1]["n"] if events else 0)

    def calls(self, since: Mark | None = None, **match: Any) -> list[dict[str, Any]]:
        """Recorded requests, such as caller="Poller", action="PutItem"."""
        found = self.stack.calls(since.call if since else 0)
        return [call for call in found if _has(call, match)]

    def events(
        self, detail_type: str, since: Mark | None = None, kind: str = "put", **detail: Any
    ) -> list[dict[str, Any]]:
        """Recorded events, such as "RunFinished", task="web"."""
        found = self.stack.events(since.event if since else 0)
        return [
            event
            for event in found
            if event["kind"] == kind
            and event["detail_type"] == detail_type
            and _has(event["detail"], detail)
        ]

    def check_events(self) -> None:
        """Each event that was put on our bus matches its schema."""
        for event in self.stack.events():
            if event["kind"] == "put" and event["source"] == SOURCE:
                schemas.check(event["detail_type"], event["detail"])

    def denied(self) -> list[dict[str, Any]]:
        """Calls of our functions and builds that IAM did not allow."""
        return [
            call
            for call in self.calls()
            if not call["allowed"]
            and call["caller"] != "user"
            and not call["principal"].endswith(f"/{PERSON}")
        ]


def _has(whole: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(whole.get(name) == value for name, value in part.items())
