"""Consul's catalog in memory, asked as `workflow/live.py` asks the real one."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cts.watch.query import Kind, View
from cts.watch.snapshot import snapshot
from cts.watch.view import Answer


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as Consul got it."""

    view: View
    index: int = 0
    wait: int = 0
    consistent: bool = False


class FakeConsul:
    """A catalog with indices. A query with an index is held until its view moves past it."""

    def __init__(self) -> None:
        self.index = 10
        self.services: dict[str, tuple[int, list[Any] | None]] = {}
        self.errors: dict[View | None, Exception] = {}
        """What asking a view raises; the key None is for `newest_index`."""
        self.filtered: set[View] = set()
        """Views of which ACLs hide a part."""
        self.asked: list[Asked] = []
        self.closed = False
        self._moved = asyncio.Condition()
        self._listing = 10

    async def set(self, name: str, instances: Iterable[Mapping[str, Any]] | None) -> None:
        """Register a service's passing instances; None deregisters it."""
        self.index += 1
        self._listing = self.index
        self.services[name] = self.index, None if instances is None else list(instances)
        await self.wake()

    async def lose_everything(self) -> None:
        """Start again from an empty data folder."""
        self.index = self._listing = 1
        self.services.clear()

    async def wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def ask(
        self, view: View, *, index: int = 0, wait: int = 0, consistent: bool = False
    ) -> Answer:
        self.asked.append(Asked(view, index, wait, consistent))
        await asyncio.sleep(0)
        if index:
            async with self._moved:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._moved.wait_for(lambda: self._index(view) > index)
        if view in self.errors:
            raise self.errors[view]
        return self.answer(view)

    def answer(self, view: View) -> Answer:
        if view.kind is Kind.LISTING:
            names = [name for name, (_, found) in self.services.items() if found is not None]
            made = snapshot(view, dict.fromkeys(names))
            return Answer(self._listing, made, view in self.filtered)
        index, instances = self.services.get(view.name, (1, None))
        return Answer(index, snapshot(view, instances or []))

    async def newest_index(self) -> int:
        await asyncio.sleep(0)
        if None in self.errors:
            raise self.errors[None]
        return self.index

    async def close(self) -> None:
        self.closed = True

    def _index(self, view: View) -> int:
        if view.kind is Kind.LISTING:
            return self._listing
        return self.services.get(view.name, (1, None))[0]


def instance(name: str, number: int = 1, **service: Any) -> dict[str, Any]:
    """One entry of `/v1/health/service/<name>`."""
    return {
        "Node": {
            "ID": "11111111-2222-3333-4444-555555555555",
            "Node": f"node-{number}",
            "Address": f"10.0.0.{number}",
            "Datacenter": "dc1",
            "TaggedAddresses": {"lan": f"10.0.0.{number}"},
            "Meta": {},
        },
        "Service": {"ID": f"{name}-{number}", "Service": name, "Port": 80, **service},
        "Checks": [{"CheckID": "serfHealth", "Status": "passing"}],
    }
