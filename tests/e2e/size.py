"""Many tasks in one stack: what is pushed, what changes in Consul meanwhile, and what must hold."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from cts import keys
from cts.adapters.bucket import Bucket
from cts.watch.fingerprint import fingerprint_of
from cts.watch.snapshot import snapshot
from tests.e2e.world import PATIENCE, RECORD_FILES, task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cts.generation import Current, TaskEntry
    from cts.run.state import TaskState
    from cts.watch.query import View
    from tests.e2e.world import World

EACH = 4
"""Services that a task watches, and no other task of the first push."""
FEW = 20
"""One in so many tasks is changed, one removed, one added, and one has a service changed."""
CHANGES_EVERY = 0.2
SECONDS_A_TASK = 1.0
"""Until all have run, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Second:
    """A push of the same tasks in another order, with other comments, and some real changes."""

    text: str
    touched: set[str]
    """Tasks that must run: changed, added, and those with a service that moves."""
    moving: list[str]
    """Services to be changed while it is published, of tasks that it leaves as they are."""


class Tasks:
    def __init__(self, count: int, seed: int) -> None:
        self.names = [f"t{number:03}" for number in range(count)]
        self.services = [f"s{number:04}" for number in range(count * EACH)]
        self._random = Random(seed)

    @property
    def text(self) -> str:
        return "".join(task(name, *self._watched(name)) for name in self.names)

    def _watched(self, name: str) -> list[str]:
        first = int(name[1:]) * EACH
        return self.services[first : first + EACH]

    def second(self) -> Second:
        names = self._random.sample(self.names, len(self.names))
        few = max(1, len(names) // FEW)
        changed, moved, kept = names[:few], names[few : 2 * few], names[3 * few :]
        added = {f"n{number:03}" for number in range(few)}
        blocks = [
            *(task(name, *reversed(self._watched(name))) for name in (*moved, *kept)),
            *(task(name, *self._watched(name)[1:]) for name in changed),
            *(task(name, self.services[0]) for name in added),
        ]
        self._random.shuffle(blocks)
        return Second(
            text="".join(f"# task {n} of {len(blocks)}\n{each}" for n, each in enumerate(blocks)),
            touched={*added, *changed, *moved},
            moving=[self._watched(name)[0] for name in moved],
        )


@dataclass(slots=True)
class Size:
    """`figures`: what was measured, by name."""

    world: World
    figures: dict[str, str] = field(default_factory=dict)
    _ports: Iterator[int] = field(default_factory=lambda: itertools.count(1024))
    _current: Current | None = None

    # ---- what happens -------------------------------------------------------------------------

    def change(self, service: str) -> None:
        """Register the service, or give its one instance another port."""
        self.world.catalog.register(f"{service}-1", service, "10.0.0.1", next(self._ports))

    @contextmanager
    def changing(self, services: list[str]) -> Iterator[None]:
        """Change one of the services after the other, each at least once, all the while."""
        over = threading.Event()

        def change_on() -> None:
            for number, service in enumerate(itertools.cycle(services)):
                if over.is_set() and number >= len(services):
                    return
                self.change(service)
                over.wait(CHANGES_EVERY)

        thread = threading.Thread(target=change_on)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def publish(self, name: str, text: str) -> float:
        """Push these tasks. Returns the seconds until they were live."""
        world, before = self.world, self.world.mark()
        version = world.upload({**RECORD_FILES, "tasks.hcl": text})
        answer = world.answer(version)
        assert answer.published, answer.problems
        [told] = world.until(lambda: world.events("ConfigPublished", before), "ConfigPublished")
        calls = world.calls(before)
        [pushed] = [n for n, c in enumerate(calls) if c["caller"] == "user" and _is_push(c)]
        mine = [call for call in calls[pushed:] if call["caller"] == "Publisher"]
        [read] = [
            n for n, call in enumerate(mine) if call["action"] == "GetObject" and _is_push(call)
        ]
        live = next(c for c in mine if c["action"] == "PutItem" and c["keys"] == ["CONFIG/CURRENT"])
        puts = sum(call["action"] == "PutObject" for call in mine)
        whole = _at(told) - _at(calls[pushed])
        self._current = world.table.current()
        self.figures |= {
            f"{name}: from the put of the bundle to ConfigPublished": f"{whole:.1f} s",
            f"{name}: of that, read, checked and compiled": _seconds(mine[read], mine[read + 1]),
            f"{name}: of that, put, {puts} objects": _seconds(mine[read + 1], live),
        }
        return whole

    def taken_over(self, name: str) -> None:
        """Wait until a poller that knows what is live holds the watch, and has looked at it."""
        began = time.time()

        def newest() -> bool:
            lease, current = self.world.table.lease(), self.current
            return bool(
                lease
                and lease.generation == current.number
                and lease.heartbeat_at > lease.started_at
            )

        self.world.until(newest, "a poller of the new generation", PATIENCE)
        self.figures[f"{name}: from then on, taken over"] = f"{time.time() - began:.1f} s"

    def settle(self, name: str) -> None:
        """Wait until each task is at rest, and has applied what Consul says."""
        began, expected = time.time(), self._expected()
        seconds = PATIENCE + SECONDS_A_TASK * len(expected)

        def unsettled() -> Mapping[str, str]:
            """Task -> the trigger it should have been applied for."""
            states = self.world.table.all_states()
            return {
                task: trigger
                for task, trigger in expected.items()
                if not _has_applied(states.get(task), trigger)
            }

        def right() -> bool:
            return not self.world.table.slots() and not unsettled()  # slots are one small item

        try:
            self.world.until(right, f"{len(expected)} tasks to apply what Consul says", seconds)
        except TimeoutError as problem:
            raise TimeoutError(f"Not settled: {unsettled()}\n{problem}") from None
        self.figures[f"{name}: from then on, all that had to run has run"] = (
            f"{time.time() - began:.0f} s"
        )

    # ---- what is there ------------------------------------------------------------------------

    @property
    def current(self) -> Current:
        assert self._current is not None
        return self._current

    def runs(self) -> Mapping[str, str]:
        """Run -> task."""
        return {run.id: run.task for run in self.world.table.runs(None, 10_000)}

    def ran(self, before: Mapping[str, str] | None = None) -> Counter[str]:
        """How often each task ran since then."""
        return Counter(task for run, task in self.runs().items() if run not in (before or {}))

    def _expected(self) -> Mapping[str, str]:
        """Each task's trigger fingerprint, made of Consul's own answers."""
        bucket = Bucket(self.world.client("s3"), self.world.work_bucket)
        tasks = bucket.generation(self.current).tasks
        views = {view for entry in tasks.values() for view in entry.condition.views(None)}
        digests = {view: self._digest(view) for view in views}
        return {name: _fingerprint(entry, digests) for name, entry in tasks.items()}

    def _digest(self, view: View) -> str:
        return snapshot(view, self.world.catalog.healthy(view.name)).digest

    # ---- figures ------------------------------------------------------------------------------

    def tell_first_reading(self, name: str) -> None:
        calls = self.world.calls(caller="Poller", action="TransactWriteItems")
        stored = [c for c in calls if any(key.startswith("WATCH/VIEWS") for key in c["writes"])]
        seconds = _at(stored[-1]) - self.current.published_at
        self.figures[f"{name}: from its publishing on, all views read and stored"] = (
            f"{seconds:.1f} s"
        )

    def tell_memory(self) -> None:
        for function in ("publisher", "poller"):
            peak = max(_peaks(f"{self.world.stack.folder}/tmp/ministack-lambda-cts-{function}"))
            self.figures[f"most memory of a {function}"] = f"{peak // 1024} MB"


def _fingerprint(entry: TaskEntry, digests: Mapping[View, str]) -> str:
    needed = {view.id: digests[view] for view in entry.condition.views(None)}
    return fingerprint_of(entry.definition, needed)


def _has_applied(state: TaskState | None, fingerprint: str) -> bool:
    if state is None or state.done is None:
        return False
    at_rest = not (state.wanted or state.running or state.unannounced)
    return at_rest and state.done.trigger == fingerprint


def _is_push(call: Mapping[str, Any]) -> bool:
    return any(key.endswith(f"/{keys.BUNDLE}") for key in call["keys"])


def _at(record: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(record["at"]).timestamp()


def _seconds(first: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    return f"{_at(last) - _at(first):.2f} s"


def _peaks(sandbox: str) -> Iterator[int]:
    """The most memory, in KB, that each process had whose folder begins like this; with all that
    sandboxes share (`local/sandboxes.py`)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()).startswith(sandbox):
                status = dict(
                    line.split(":", 1) for line in (process / "status").read_text().splitlines()
                )
                yield int(status["VmHWM"].split()[0])
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
