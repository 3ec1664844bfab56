"""Sending events: all of them, whatever PutEvents answers inside."""

import json
import random
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from cts.adapters.bus import FIRST_WAIT, TRIES, Bus
from cts.errors import Unavailable
from cts.events import (
    CatalogChanged,
    ConfigPublished,
    ConfigRejected,
    Event,
    RunFinished,
    RunStarted,
    TaskTriggered,
    iso,
    triggered,
)

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class Events:
    """PutEvents that refuses some entries, some times."""

    def __init__(self, refused: int = 0) -> None:
        self.refused = refused
        self.calls: list[int] = []
        self.taken: list[dict[str, str]] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append(len(Entries))
        results: list[dict[str, str]] = []
        for each in Entries:
            if self.refused > 0:
                self.refused -= 1
                results.append({"ErrorCode": "ThrottlingException"})
            else:
                self.taken.append(each)
                results.append({"EventId": "1"})
        return {"Entries": results}


def ours(client: Events) -> Bus:
    return Bus(cast("EventBridgeClient", client), "ours")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited before each further try, the chances being one half."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    monkeypatch.setattr(random, "random", lambda: 0.5)
    return made


def tasks(entries: list[dict[str, str]]) -> list[str]:
    return [json.loads(each["Detail"])["task"] for each in entries]


def test_many_events_go_ten_at_a_time() -> None:
    client = Events()
    ours(client).send([TaskTriggered(str(n)) for n in range(23)])
    assert client.calls == [10, 10, 3]
    assert tasks(client.taken) == [str(n) for n in range(23)]


def test_no_events_is_no_call() -> None:
    client = Events()
    ours(client).send([])
    assert client.calls == []


def test_what_was_refused_is_sent_again_and_nothing_else() -> None:
    client = Events(refused=2)
    ours(client).send([TaskTriggered(str(n)) for n in range(5)])
    assert client.calls == [5, 2]
    assert sorted(tasks(client.taken)) == ["0", "1", "2", "3", "4"]


def test_what_is_refused_again_and_again_is_an_error() -> None:
    client = Events(refused=99)
    with pytest.raises(Unavailable, match="TaskTriggered to ours: 1 entries refused: Throttling"):
        ours(client).send([TaskTriggered("web")])
    assert len(client.calls) == TRIES


def test_those_who_were_refused_together_come_back_apart(waits: list[float]) -> None:
    with pytest.raises(Unavailable):
        ours(Events(refused=99)).send([TaskTriggered("web")])
    assert waits == [FIRST_WAIT / 2, FIRST_WAIT, FIRST_WAIT * 2]


EVENTS: list[Event] = [
    CatalogChanged(["service web"], 1, ["web"], 1, "c", iso(0)),
    TaskTriggered("web", "c"),
    RunStarted("web", "web-1", ["change"], 1, "b", "c", iso(0)),
    RunFinished(
        "web-1/RunFinished", "web", "web-1", "applied", ["change"], 1, {"add": 1}, None, None, None,
        iso(0), iso(1), iso(2), "c",
    ),
    ConfigPublished("v1/ConfigPublished", 1, "v1", ["web"], [], []),
    ConfigRejected("v1/ConfigRejected", "v1", 1, [{"what": "x"}]),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=[event.detail_type for event in EVENTS])
def test_an_event_is_an_entry_that_names_its_type(event: Event) -> None:
    client = Events()
    ours(client).send([event])
    [sent] = client.taken
    assert (sent["Source"], sent["EventBusName"]) == ("cts", "ours")
    assert sent["DetailType"] == type(event).__name__ == event.detail_type
    assert json.loads(sent["Detail"]).keys() == set(event.__slots__)


def test_a_trigger_is_read_back() -> None:
    client = Events()
    ours(client).send([TaskTriggered("web", "c")])
    assert triggered({"detail": json.loads(client.taken[0]["Detail"])}) == TaskTriggered("web", "c")
    assert triggered({"detail": {"task": "web"}}) == TaskTriggered("web", "")


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(1_800_000_000.0625) == "2027-01-15T08:00:00.062Z"
