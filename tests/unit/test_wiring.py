"""The clients of the adapters: built once each, on first use."""

from collections.abc import Iterator

import pytest

from cts import wiring
from cts.events import TaskTriggered
from cts.settings import Store, Tracked

STORE = Store(table="t", work_bucket="w", bus="b", run_days=90)


class Session:
    """Builds clients that take any events."""

    def __init__(self) -> None:
        self.built: list[str] = []

    def client(self, service: str, config: object) -> "Client":
        assert config is wiring.PATIENCE
        self.built.append(service)
        return Client()


class Client:
    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:  # noqa: N803
        return {"Entries": [{"EventId": "1"} for _ in Entries]}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    made = Session()
    monkeypatch.setattr(wiring, "session", lambda: made)
    clients = (wiring.dynamodb, wiring.eventbridge)
    for each in clients:
        each.cache_clear()
    yield made
    for each in clients:
        each.cache_clear()


def test_a_tables_client_is_built_at_once_and_only_once(session: Session) -> None:
    wiring.table(STORE)
    wiring.table(STORE)
    assert session.built == ["dynamodb"]


def test_other_clients_are_built_when_they_are_used(session: Session) -> None:
    bus = wiring.bus(STORE)
    wiring.bucket(STORE)
    wiring.drivers(STORE, Tracked("p", 5))
    assert session.built == []
    bus.send([TaskTriggered("web")])
    bus.send([TaskTriggered("web")])
    assert session.built == ["events"]
