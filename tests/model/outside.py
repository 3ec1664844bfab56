"""What the model test puts around the code: Consul's catalog, builds, and the world they change."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cache
from typing import Any

from cts.conditions import consul_kv, services
from cts.conditions.condition import Condition, Read
from cts.events import iso
from cts.run.state import Reason
from cts.terraform.definition import Definition
from cts.watch.needs import rendered
from cts.watch.query import View
from cts.watch.snapshot import EMPTY, Snapshot, of
from cts.watch.view import Answer
from tests.fakes import Clock, FakeBucket, FakeBuild

LISTING = View(services.LISTING)
NOT_PASSING = 0
"""A service that the catalog lists and that has no passing instance."""
VALUES = (None, NOT_PASSING, 1, 2)
FORMER_STATE = "cts/terraform"
LEFT = ("both", "timed")
"""Tasks of which CTS has left a state in Consul."""
LEFT_KEYS = frozenset(f"{FORMER_STATE}-env:{task}" for task in LEFT)


@cache
def value_of(name: str, value: int | None) -> Snapshot:
    return of([{"node": "n", "id": name, "value": value}]) if value else EMPTY


@dataclass(slots=True)
class Catalog:
    """Two services. Each change moves the index of its view and of the listing."""

    values: dict[str, int | None] = field(default_factory=lambda: {"a": 1, "b": 1})
    indices: dict[View, int] = field(default_factory=dict)
    newest: int = 5
    seen: dict[str, list[str]] = field(default_factory=dict)
    """View id -> digests it had, in order."""
    saved: tuple[dict[str, int | None], dict[View, int], int] | None = None
    restores: int = 0
    streams: bool = False
    """Held health queries sleep on when Consul is restored, as on newer servers."""

    def set(self, name: str, value: int | None) -> None:
        self.values[name] = value
        self.newest += 1
        self.indices[View(services.SERVICE, name)] = self.indices[LISTING] = self.newest
        self.remember()

    def lose_everything(self) -> None:
        """Consul starts again from an empty data folder."""
        self.values = dict.fromkeys(self.values)
        self.newest = 1
        self.indices.clear()
        self.remember()

    def save(self) -> None:
        """Make a snapshot that it can be restored from."""
        self.saved = dict(self.values), dict(self.indices), self.newest

    def restore(self) -> bool:
        """Whether there was a snapshot."""
        if self.saved is None:
            return False
        self.values, self.indices = dict(self.saved[0]), dict(self.saved[1])
        self.newest = self.saved[2]
        self.restores += 1
        self.remember()
        return True

    def remember(self) -> None:
        for view in self.views:
            digests = self.seen.setdefault(view.id, [])
            if (digest := self.answer(view).snapshot.digest) not in digests[-1:]:
                digests.append(digest)

    @property
    def names(self) -> list[str]:
        return sorted(name for name, value in self.values.items() if value is not None)

    def index(self, view: View) -> int:
        return self.indices.get(view, 1)

    def index_now(self, view: View) -> int:
        return self.index(view) if view.kind.newest else self.newest

    def answer(self, view: View) -> Answer:
        if not view.kind.newest:  # a probe
            return Answer(self.newest, of([]))
        if view.kind == consul_kv.KEY:
            return Answer(self.newest, value_of(view.name, int(view.name in LEFT_KEYS)))
        if view.kind == services.LISTING:
            return Answer(self.index(view), of(list(self.names)))
        return Answer(self.index(view), value_of(view.name, self.values.get(view.name)))

    def digests(self, condition: Condition) -> dict[str, str]:
        needed = condition.views(of(list(self.names)))
        return {view.id: self.answer(view).snapshot.digest for view in needed}

    def data(self, definition: Definition) -> str:
        """What a task should have applied now."""
        read = {v.id: self.answer(v).snapshot for v in self.views}
        return data_of(definition, read)

    @property
    def views(self) -> list[View]:
        return [LISTING, *(View(services.SERVICE, name) for name in self.values)]


def data_of(definition: Definition, read: Read) -> str:
    """What is to be applied of what was read: rows of the condition, and of each module input."""
    rows = [
        [row for view in rendered([each], read) for row in read[view.id].value]
        for each in (definition.condition, *definition.inputs)
    ]
    return json.dumps([definition.digest, *rows])


class Stage(Enum):
    QUEUED = auto()
    STARTED = auto()
    APPLYING = auto()
    APPLIED = auto()
    RECORDED = auto()
    ENDED = auto()


@dataclass(slots=True)
class Build:
    """What the build's program does, step by step; a build may be killed between any two."""

    fake: FakeBuild
    bucket: FakeBucket
    clock: Clock
    stage: Stage = Stage.QUEUED
    result: dict[str, object] = field(default_factory=dict)
    began_at: float = 0.0

    @property
    def executes(self) -> bool:
        """Whether Terraform may be at work: once the result is recorded, only its log is sent."""
        return self.stage in (Stage.STARTED, Stage.APPLYING, Stage.APPLIED)

    @property
    def task(self) -> str:
        return self.fake.run.task

    @property
    def destroys(self) -> bool:
        return Reason.DESTROY in self.fake.run.why

    def begin(self) -> bool:
        """The first act: `started` put if absent. False: the run is not this build's."""
        mine = json.dumps({"build": self.fake.id}).encode()
        if not self._put_if_absent("started", mine):
            return False
        self.stage, self.began_at = Stage.STARTED, self.clock()
        return True

    def data(self) -> str:
        """What the archive says that is to be applied."""
        return self.fake.archive.decode()

    def apply(self) -> None:
        self._put_if_absent("applying", b"")
        self.stage = Stage.APPLYING

    def ends(self, status: str, *, retryable: bool = True) -> None:
        error = "broken" if status == "errored" else None
        at = {"started": iso(self.began_at), "ended": iso(self.clock())}
        self.result = {
            "build": self.fake.id,
            "status": status,
            "error": error,
            "retryable": retryable,
            "at": at,
        }
        self.stage = Stage.APPLIED

    def record(self) -> None:
        self._put_if_absent("result.json", json.dumps(self.result).encode())
        self.stage = Stage.RECORDED

    def end(self, status: str) -> None:
        self.stage = Stage.ENDED
        self.fake.status = status

    def _put_if_absent(self, name: str, body: bytes) -> bool:
        return self.bucket.put_if_absent(self.task, self.fake.run.id, name, body)


@dataclass(slots=True, eq=False)
class Asked:
    """A query that Consul has not answered yet; `view` is None for its newest indices."""

    view: View | None
    index: int
    until: float
    restores: int
    before: Answer | None
    """What it would have been answered at once."""
    answer: "asyncio.Future[Any]"

    def ready(self, catalog: Catalog, now: float) -> bool:
        if self.view is None or not self.index or now >= self.until:
            return True
        return catalog.index_now(self.view) > self.index or self.woken(catalog)

    def woken(self, catalog: Catalog) -> bool:
        """By a restore, which moves no index."""
        assert self.view is not None
        sleeps = catalog.streams and self.view.kind == services.SERVICE
        return self.restores != catalog.restores and not sleeps

    def value(self, catalog: Catalog) -> Any:
        if self.view is None:
            return catalog.newest
        if self.index and catalog.index_now(self.view) <= self.index and self.woken(catalog):
            assert self.before is not None
            return replace(self.before, index=self.index)
        return catalog.answer(self.view)


class AskedConsul:
    """Consul as a poller's process asks it."""

    def __init__(self, asks: list[Asked], catalog: Catalog, clock: Callable[[], float]) -> None:
        self._asks, self._catalog, self._clock = asks, catalog, clock

    async def ask(
        self,
        view: View,
        *,
        index: int = 0,
        wait: int = 0,
        consistent: bool = False,
        from_leader: bool = False,
    ) -> Answer:
        del consistent, from_leader  # this Consul is never behind
        answer: Answer = await self._answered(view, index, wait)
        return answer

    async def newest(self, probe: View) -> int:
        del probe  # this Consul has one index for all
        newest: int = await self._answered(None, 0, 0)
        return newest

    async def close(self) -> None: ...

    async def _answered(self, view: View | None, index: int, wait: int) -> Any:
        answer = asyncio.get_running_loop().create_future()
        before = self._catalog.answer(view) if view else None
        until = self._clock() + wait
        self._asks.append(Asked(view, index, until, self._catalog.restores, before, answer))
        return await answer
