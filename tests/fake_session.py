"""A session of AWS: its clients keep what they were asked, and answer what a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cts.adapters import clients

CLIENTS = (
    clients.codebuild,
    clients.dynamodb,
    clients.eventbridge,
    clients.s3,
    clients.secrets_manager,
    clients.ssm,
    clients.sts,
)


class FakeSession:
    def __init__(self) -> None:
        self.built: list[str] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """`service.method`, and its arguments."""
        self.answers: dict[str, Any] = {}

    def client(self, service: str, config: object) -> "FakeClient":
        assert config is clients.PATIENCE
        self.built.append(service)
        return FakeClient(self, service)

    def of(self, call: str) -> list[dict[str, Any]]:
        """The arguments of all calls of this name."""
        return [arguments for name, arguments in self.asked if name == call]


class FakeClient:
    def __init__(self, session: FakeSession, service: str) -> None:
        self._session = session
        self._service = service

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            name = f"{self._service}.{method}"
            self._session.asked.append((name, arguments))
            if name == "events.put_events":
                return {"Entries": [{"EventId": "1"} for _ in arguments["Entries"]]}
            return self._session.answers.get(name, {})

        return call


@contextmanager
def fake_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    """What clients are built with, for a while."""
    made = FakeSession()
    monkeypatch.setattr(clients, "session", lambda: made)
    for each in CLIENTS:
        each.cache_clear()
    yield made
    for each in CLIENTS:
        each.cache_clear()
