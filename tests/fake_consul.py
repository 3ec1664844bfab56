"""Consul's catalog in memory, asked as `workflow/queries.py` asks the real one, and what else the
adapter needs."""

import asyncio
import ssl
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cts.adapters.consul import ANSWER_WITHIN as SILENT_FOR
from cts.conditions import consul_kv, services
from cts.errors import Unavailable
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, snapshot
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
        self.index = self.checks_index = self.kv_index = 10
        """The newest of services and nodes, of checks, and of KV."""
        self.services: dict[str, tuple[int, list[Any] | None]] = {}
        self.kv: dict[str, tuple[int, str | None]] = {}
        """Key -> index and value; None: deleted."""
        self.datacenters: dict[str, FakeConsul] = {}
        """The others that this one knows."""
        self.errors: dict[View | None, Exception] = {}
        """What asking a view or a probe raises; the key None is for all probes."""
        self.filtered: set[View] = set()
        """Views of which ACLs hide a part."""
        self.token, self.default_deny = False, False
        self.delays: dict[View, float] = {}
        """Seconds that answers without index are on their way."""
        self.down: Exception | None = None
        """What everything raises, held queries too."""
        self.lies: dict[View, int] = {}
        """Held queries of these are answered with nothing and this index: so does a Consul without
        leader, or one that does not know the token or the datacenter."""
        self.behind: dict[View, Answer] = {}
        """What is answered unless consistency is asked for."""
        self.lagging: dict[View, Answer] = {}
        """What is answered unless the leader is asked, as if any server may answer."""
        self.silent = False
        """It answers nothing, and whoever asks gives up in the end. Connections that held a query
        are dead for good."""
        self.streams = False
        """Held health queries sleep on when Consul is restored, as on newer servers."""
        self.most_held = 0
        """Queries at a time."""
        self._holds: Counter[View] = Counter()
        self._restores = self._silences = 0
        self.asked: list[Asked] = []
        self.closed = False
        self._moved = asyncio.Condition()
        self._listing = 10

    @property
    def views(self) -> set[View]:
        """All that was asked for."""
        return {asked.view for asked in self.asked}

    async def set(self, name: str, instances: Iterable[Mapping[str, Any]] | None) -> None:
        """Register a service's passing instances; None deregisters it."""
        self.index += 1
        self._listing = self.index
        self.services[name] = self.index, None if instances is None else list(instances)
        await self.wake()

    async def put(self, key: str, value: str | None) -> None:
        """Write a key; None deletes it."""
        self.kv_index += 1
        self.kv[key] = self.kv_index, value
        await self.wake()

    async def lose_everything(self) -> None:
        """Start again from an empty data folder."""
        self.index = self.checks_index = self.kv_index = self._listing = 1
        self.services.clear()
        self.kv.clear()

    async def restore(
        self, services: Mapping[str, Iterable[Mapping[str, Any]]], index: int
    ) -> None:
        """Go back to a snapshot: held queries are woken, and none has moved."""
        self.index = self._listing = index
        self.services = {name: (index, list(found)) for name, found in services.items()}
        self._restores += 1
        await self.wake()

    async def goes_down(self, error: Exception | None) -> None:
        """None: nothing comes back."""
        self.down, self.silent = error, error is None
        self._silences += error is None
        await self.wake()

    def returns(self) -> None:
        self.down, self.silent = None, False

    async def wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def ask(
        self,
        view: View,
        *,
        index: int = 0,
        wait: int = 0,
        consistent: bool = False,
        from_leader: bool = False,
    ) -> Answer:
        if view.datacenter in self.datacenters:
            other = self.datacenters[view.datacenter]
            which = {"consistent": consistent, "from_leader": from_leader}
            return await other.ask(view, index=index, wait=wait, **which)
        if view.kind.newest:
            self.asked.append(Asked(view, index, wait, consistent))
        await self._answers(SILENT_FOR if not index else wait + SILENT_FOR)
        before = self.answer(view)
        if index and await self._held(view, index, wait):
            return replace(before, index=index)
        if index and view in self.lies:
            return Answer(self.lies[view], EMPTY)
        if view in self.behind and not consistent:
            return self.behind[view]
        if view in self.lagging and not (consistent or from_leader):
            return self.lagging[view]
        if view in self.errors:
            raise self.errors[view]
        answer = self.answer(view)
        if not index and view in self.delays:
            await asyncio.sleep(self.delays[view])
        return answer

    async def _held(self, view: View, index: int, wait: int) -> bool:
        self._holds[view] += 1
        self.most_held = max(self.most_held, self._holds.total())
        try:
            return await self._woken_by_restore(view, index, wait)
        finally:
            self._holds[view] -= 1

    async def _woken_by_restore(self, view: View, index: int, wait: int) -> bool:
        """Wait until the view moves, or the wait is over."""
        restores = self._restores

        silences = self._silences

        def is_dead() -> bool:
            return silences != self._silences

        def restored() -> bool:
            return restores != self._restores and not (
                self.streams and view.kind == services.SERVICE
            )

        async with self._moved:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._moved.wait_for(
                        lambda: (
                            not is_dead()
                            and (
                                self.down
                                or view in self.lies
                                or self._index(view) > index
                                or restored()
                            )
                        )
                    )
        if is_dead():
            await asyncio.sleep(SILENT_FOR)
            raise Unavailable("no answer")
        if self.down:
            raise self.down
        return restored() and self._index(view) <= index

    def answer(self, view: View) -> Answer:
        made = snapshot(view, self._found(view))
        return Answer(self._index(view), made, view in self.filtered, self.token, self.default_deny)

    def _found(self, view: View) -> Any:
        """What is in the body of an answer."""
        if view.kind == services.LISTING:
            return {name: [] for name, (_, found) in self.services.items() if found is not None}
        if view.kind in (consul_kv.KEY, consul_kv.KEYS):
            return [
                {"Key": key, "Value": b64encode(value.encode()).decode()}
                for key, (_, value) in self._keys(view).items()
                if value is not None
            ]
        return self.services.get(view.name, (1, None))[1] or []

    def _keys(self, view: View) -> dict[str, tuple[int, str | None]]:
        """What a view of KV looks at, with what was deleted."""
        if view.kind == consul_kv.KEYS:
            return {key: each for key, each in self.kv.items() if key.startswith(view.name)}
        return {view.name: self.kv[view.name]} if view.name in self.kv else {}

    async def newest(self, probe: View) -> int:
        if probe.datacenter in self.datacenters:
            return await self.datacenters[probe.datacenter].newest(probe)
        await self._answers(SILENT_FOR)
        if error := self.errors.get(None, self.errors.get(probe)):
            raise error
        return self._index(probe)

    async def _answers(self, within: float) -> None:
        """Raises Unavailable as the adapter does if nothing comes."""
        await asyncio.sleep(0)
        if self.silent:
            await asyncio.sleep(within)
            raise Unavailable("no answer")
        if self.down:
            raise self.down

    async def close(self) -> None:
        self.closed = True

    def _index(self, view: View) -> int:
        if view.kind in (consul_kv.KEY, consul_kv.KEYS):
            # Of what was never there Consul answers the newest of all.
            return max((index for index, _ in self._keys(view).values()), default=self.kv_index)
        newest = {
            services.LISTING: self._listing,
            services.CATALOG_INDEX: self.index,
            services.CHECKS_INDEX: self.checks_index,
            consul_kv.KV_INDEX: self.kv_index,
        }
        of_service = self.services.get(view.name, (1, None))[0]
        return newest.get(view.kind, of_service)


class Token:
    def __init__(self, token: str = "") -> None:
        self.token = token
        self.forgotten: list[str] = []

    async def __call__(self) -> str:
        return self.token

    def forget(self, token: str) -> None:
        self.forgotten.append(token)


async def system() -> ssl.SSLContext:
    """Trust whom this machine trusts."""
    return ssl.create_default_context()


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
