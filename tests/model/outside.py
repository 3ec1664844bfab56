"""What the model test puts around the code: Consul's catalog, builds, and the world they change."""

import json
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache

from cts.terraform.definition import Definition
from cts.watch.query import Kind, ServicesCondition, View
from cts.watch.snapshot import EMPTY, Snapshot, of
from cts.watch.view import Answer
from tests.fakes import FakeBucket, FakeBuild

LISTING = View(Kind.LISTING)
NOT_PASSING = 0
"""A service that the catalog lists and that has no passing instance."""
VALUES = (None, NOT_PASSING, 1, 2)


@cache
def value_of(name: str, value: int | None) -> Snapshot:
    return of([{"id": name, "value": value}]) if value else EMPTY


@dataclass(slots=True)
class Catalog:
    """Two services. Each change moves the index of its view and of the listing."""

    values: dict[str, int | None] = field(default_factory=lambda: {"a": 1, "b": 1})
    indices: dict[View, int] = field(default_factory=dict)
    newest: int = 5
    seen: dict[str, list[str]] = field(default_factory=dict)
    """View id -> digests it had, in order."""

    def set(self, name: str, value: int | None) -> None:
        self.values[name] = value
        self.newest += 1
        self.indices[View(Kind.SERVICE, name)] = self.indices[LISTING] = self.newest
        self.remember()

    def lose_everything(self) -> None:
        """Consul starts again from an empty data folder."""
        self.values = dict.fromkeys(self.values)
        self.newest = 1
        self.indices.clear()
        self.remember()

    def remember(self) -> None:
        for view in (LISTING, *(View(Kind.SERVICE, name) for name in self.values)):
            digests = self.seen.setdefault(view.id, [])
            if (digest := self.answer(view).snapshot.digest) not in digests[-1:]:
                digests.append(digest)

    @property
    def names(self) -> list[str]:
        return sorted(name for name, value in self.values.items() if value is not None)

    def index(self, view: View) -> int:
        return self.indices.get(view, 1)

    def answer(self, view: View) -> Answer:
        if view.kind is Kind.LISTING:
            return Answer(self.index(view), of(list(self.names)))
        return Answer(self.index(view), value_of(view.name, self.values.get(view.name)))

    def digests(self, condition: ServicesCondition) -> dict[str, str]:
        needed = condition.needed_views(self.names)
        return {view.id: self.answer(view).snapshot.digest for view in needed}

    def data(self, definition: Definition) -> str:
        """What a task should have applied now."""
        needed = definition.condition.needed_views(self.names)
        return data_of(definition, [row for v in needed for row in self.answer(v).snapshot.rows])


def data_of(definition: Definition, rows: list[dict[str, object]]) -> str:
    return json.dumps([definition.digest, rows])


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
    stage: Stage = Stage.QUEUED
    result: dict[str, object] = field(default_factory=dict)

    @property
    def executes(self) -> bool:
        return self.stage not in (Stage.QUEUED, Stage.ENDED)

    @property
    def task(self) -> str:
        return self.fake.run.task

    def begin(self) -> bool:
        """The first act: `started` put if absent. False: the run is not this build's."""
        mine = json.dumps({"build": self.fake.id}).encode()
        if not self._put_if_absent("started", mine):
            return False
        self.stage = Stage.STARTED
        return True

    def data(self) -> str:
        """What the archive says that is to be applied."""
        versions = self.bucket.objects[self._key("archive.zip")]
        return versions[int(self.fake.archive) - 1].decode()

    def apply(self) -> None:
        self._put_if_absent("applying", b"")
        self.stage = Stage.APPLYING

    def ends(self, status: str, *, retryable: bool = True) -> None:
        error = "broken" if status == "errored" else None
        self.result = {"status": status, "error": error, "retryable": retryable}
        self.stage = Stage.APPLIED

    def record(self) -> None:
        self._put_if_absent("result.json", json.dumps(self.result).encode())
        self.stage = Stage.RECORDED

    def end(self, status: str) -> None:
        self.stage = Stage.ENDED
        self.fake.status = status

    def _put_if_absent(self, name: str, body: bytes) -> bool:
        return self.bucket.put_if_absent(self.task, self.fake.run.id, name, body)

    def _key(self, name: str) -> str:
        return f"runs/{self.task}/{self.fake.run.id}/{name}"
