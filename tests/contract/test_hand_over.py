"""A poller relieves another on a real Consul and a table as AWS has it, and a change comes at some
moment around that: none is missed, and none becomes two runs."""

import asyncio
import itertools
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cts.adapters.consul import Consul
from cts.adapters.table import Table
from cts.conditions import services
from cts.conditions.consul_kv import KvCondition
from cts.conditions.services import ServicesCondition
from cts.generation import Generation, TaskEntry
from cts.run.model import End, RunStatus
from cts.run.state import Reason
from cts.run.task import Claimed, claim, finish
from cts.watch.fingerprint import fingerprint_of
from cts.watch.needs import digests
from cts.watch.query import View
from cts.watch.snapshot import snapshot
from cts.watch.view import rows_of
from cts.workflow import poll
from cts.workflow.live import live
from cts.workflow.watcher import LivePorts, PollOutcome
from local import consul as local
from tests.fake_consul import Token
from tests.fakes import FakeBucket, FakeBus

SEEN_WITHIN = 30.0
WEB, LISTING = View(services.SERVICE, "web"), View(services.LISTING)
TASKS = {
    "named": TaskEntry("d-named", ServicesCondition(("web",))),
    "matched": TaskEntry("d-matched", ServicesCondition(regexp="^w")),
    "key": TaskEntry("d-key", KvCondition("app/port")),
}
SAMPLE = range(0, 500, 100)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local.Consul]:
    server = local.Consul(tmp_path_factory.mktemp("consul"))
    server.start()
    yield server
    server.stop()


class Stand:
    """Pollers, a table, and a runner that applies whatever is wanted at once."""

    def __init__(self, server: local.Consul, table: Table) -> None:
        self.server, self.table = server, table
        self.http = server.client()
        self.bucket, self.bus = FakeBucket(), FakeBus()
        self.generation = Generation(1, 1, {}, TASKS)
        self.numbers = itertools.count(1)
        self.runs = dict.fromkeys(TASKS, 0)

    def current(self) -> Generation:
        return self.generation

    def poller(self) -> "asyncio.Task[PollOutcome]":
        ports = poll.PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=time.time,
            new_id=lambda: f"look-{next(self.numbers)}",
        )

        async def authorities() -> ssl.SSLContext:
            raise AssertionError("plain HTTP")

        async def connection() -> str:
            return ""

        watching = live(
            LivePorts(
                ports=ports,
                generations=self,
                consul=lambda: Consul(self.server.address, Token(""), authorities),
                has_state=lambda _task: False,
                connection=connection,
                thread=lambda: ThreadPoolExecutor(1),
                chance=lambda: 0.5,
                owner=f"poller-{next(self.numbers)}",
                until=time.time() + 3600,
                on_beat=lambda _: None,
                on_change=lambda _: None,
                on_trouble=lambda _: None,
            )
        )
        return asyncio.create_task(watching)

    def change(self, number: int) -> None:
        service = {"ID": "web-1", "Service": "web", "Port": number}
        body = {"Node": "n1", "Address": "10.0.0.1", "Service": service}
        self.http.put("/v1/catalog/register", json=body).raise_for_status()
        self.http.put("/v1/kv/app/port", content=str(number)).raise_for_status()

    def apply_what_is_wanted(self) -> None:
        for task, state in self.table.states(TASKS).items():
            wish = state.wanted.get(Reason.CHANGE)
            if wish is None:
                continue
            fed, run, now = wish.fingerprint or "", f"{task}-{next(self.numbers)}", time.time()
            claimed = claim(state, run, fed, fed, now)
            assert isinstance(claimed, Claimed), f"{task} is wanted and done already: {state}"
            if self.table.put_state(claimed.state):
                again = self.table.state(task)
                end = End(RunStatus.APPLIED, apply_began=True)
                while not self.table.put_state(finish(again, run, end, time.time(), 0.0)):
                    again = self.table.state(task)
                self.runs[task] += 1

    def is_applied(self) -> bool:
        """Every task has applied what Consul has, and wants nothing."""
        rows = rows_of(self.table.chunks())
        if WEB.id not in rows or rows[WEB.id].digest != self._now():
            return False
        listing = (
            self.bucket.get(LISTING.id, rows[LISTING.id].digest) if LISTING.id in rows else None
        )
        firsts = {LISTING.id: listing} if listing else {}
        for task, state in self.table.states(TASKS).items():
            seen = digests(TASKS[task].conditions, rows, firsts)
            wanted = fingerprint_of(TASKS[task].definition, seen or {})
            if state.wanted or state.done is None or state.done.trigger != wanted:
                return False
        return True

    def _now(self) -> str:
        answer = self.http.get("/v1/health/service/web", params={"passing": "1"}).json()
        return snapshot(WEB, answer).digest

    async def until_applied(self, runs: int, what: str) -> None:
        deadline = time.monotonic() + SEEN_WITHIN
        while not (self.is_applied() and set(self.runs.values()) == {runs}):
            assert time.monotonic() < deadline, f"{what}: {self.runs}, not {runs}"
            self.apply_what_is_wanted()
            await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "offsets",
    [pytest.param(SAMPLE, id="some"), pytest.param(range(500), id="all", marks=pytest.mark.soak)],
)
@pytest.mark.parametrize("table", ["adapter"], indirect=True)
def test_a_change_at_any_moment_of_a_hand_over_is_one_run(
    server: local.Consul, table: Table, offsets: range
) -> None:
    stand = Stand(server, table)

    async def main() -> None:
        stand.change(1)
        former = stand.poller()
        await stand.until_applied(1, "the first poller")
        for count, offset in enumerate(offsets, start=2):
            stand.generation = replace(stand.generation, number=count)
            next_one = stand.poller()
            await asyncio.sleep(offset / 1000)
            stand.change(count)
            await stand.until_applied(count, f"a change {offset} ms after the next poller began")
            assert await asyncio.wait_for(former, SEEN_WITHIN) is PollOutcome.OVERTAKEN
            former = next_one
        former.cancel()
        await asyncio.gather(former, return_exceptions=True)

    asyncio.run(main())
    stand.http.close()
