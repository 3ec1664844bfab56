"""Our event bus."""

import random
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from cts.adapters.aws_errors import translated
from cts.errors import Unavailable
from cts.events import Event, entry

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

ENTRIES = 10
"""Maximum number of entries in a PutEvents call."""
TRIES = 4
FIRST_WAIT = 0.2
"""Maximum wait in seconds before the second try."""


class Bus:
    def __init__(self, client: "EventBridgeClient", name: str) -> None:
        self._client = client
        self._name = name

    def send(self, events: Collection[Event]) -> None:
        """Send all events, or raise Unavailable: some may have been sent, and retrying is safe."""
        entries = [entry(event, self._name) for event in events]
        for start in range(0, len(entries), ENTRIES):
            self._send(entries[start : start + ENTRIES])

    def _send(self, entries: "list[PutEventsRequestEntryTypeDef]") -> None:
        doing = f"sending {entries[0]['DetailType']} to {self._name}"
        refused: list[str] = []
        for attempt in range(TRIES):
            if attempt:  # full jitter: clients refused together retry apart
                time.sleep(random.random() * FIRST_WAIT * 2 ** (attempt - 1))
            with translated(doing):
                answer = self._client.put_events(Entries=entries)
            # PutEvents returns 200 even if it refused some entries.
            results = list(zip(entries, answer["Entries"], strict=True))
            refused = [r.get("ErrorCode", "") for _, r in results if "ErrorCode" in r]
            entries = [each for each, result in results if "ErrorCode" in result]
            if not entries:
                return
        raise Unavailable(f"{doing}: {len(refused)} entries refused: {refused[0]}")
