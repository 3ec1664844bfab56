"""Unit tests reach nothing but themselves."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cts.config import compile as compiler
from cts.terraform.definition import Definition

CONNECT = socket.socket.connect


@pytest.fixture(autouse=True, scope="module")
def _no_network() -> Iterator[None]:
    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            raise AssertionError(f"a unit test connects to {address}")
        CONNECT(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture
def without_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if tasks with providers could not run yet."""

    def waits_for(definition: Definition) -> list[str]:
        return ["providers"] if definition.providers else []

    monkeypatch.setattr(compiler, "waits_for", waits_for)
