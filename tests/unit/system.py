"""A deployed system in memory: runner and tracker on fakes."""

import io
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cts import keys
from cts.conditions import services
from cts.conditions.services import ServicesCondition, service_row
from cts.events import TaskTriggered
from cts.generation import Current, Generation, TaskEntry
from cts.run.lane import Capacity
from cts.run.model import Run
from cts.run.person import ask
from cts.run.state import Done, Outcome, TaskState
from cts.run.task import observe
from cts.terraform.archive import zipped
from cts.terraform.definition import Definition, Module
from cts.terraform.place import RunPlace
from cts.watch.fingerprint import fingerprint_of
from cts.watch.needs import looked_at, unread
from cts.watch.query import View
from cts.watch.snapshot import decoded
from cts.watch.view import Answer, Chunk, chunk_of
from cts.workflow import settle, start, track
from tests.fake_consul import instance
from tests.fakes import (
    Clock,
    Counter,
    FakeBucket,
    FakeBus,
    FakeDriver,
    FakeMetrics,
    FakeSts,
    FakeTable,
    build_event,
    fake_sessions,
)

if TYPE_CHECKING:
    from cts.ports import Driver

WEB = View(services.SERVICE, "web")
LISTING = View(services.LISTING)
PLACE = RunPlace("work", "state", "eu-west-1", "1.13.0")


class System:
    def __init__(
        self,
        cap: int = 5,
        table: FakeTable | None = None,
        bucket: FakeBucket | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.table, self.bucket, self.bus = table or FakeTable(), bucket or FakeBucket(), FakeBus()
        self.sts = FakeSts(self.clock)
        self.sessions = fake_sessions(self.sts, self.bucket)
        self.driver = FakeDriver(self.clock, self.bucket)
        self.drivers: dict[str, Driver] = {"terraform": self.driver}
        self.metrics = FakeMetrics()
        settling = settle.SettlePorts(
            tasks=self.table,
            records=self.bucket,
            sessions=self.sessions,
            bus=self.bus,
            now=self.clock,
            chance=lambda: 0.0,
            metrics=self.metrics,
        )
        self.start_ports = start.StartPorts(
            settling=settling,
            tasks=self.table,
            views=self.table,
            objects=self.bucket,
            fed=self.bucket,
            drivers=self.drivers,
            place=PLACE,
            program=zipped({"execute.py": "print('the program')"}),
            bus=self.bus,
            now=self.clock,
            new_run_id=Counter().new_run_id,
            new_folder=Counter().new_folder,
            cap=cap,
            capacity=Capacity(0.0, 0),
            records=self.bucket,
            generations=self.bucket,
        )
        self.track_ports = track.TrackPorts(
            settling=settling,
            runs=self.table,
            heard_of=self.table,
            published=self.table,
            drivers=self.drivers,
            now=self.clock,
            cap=cap,
            generations=self.bucket,
        )
        self.tasks: dict[str, TaskEntry] = {}
        self.former_state = ""
        """Where CTS may have left states."""

    # ---- what was configured and seen -----------------------------------------------------

    def task(
        self,
        name: str,
        *,
        enabled: bool = True,
        regexp: str | None = None,
        driver: str = "terraform",
        workspace: str = "",
    ) -> None:
        """A task that watches the service `web`, or those that match."""
        condition = ServicesCondition(() if regexp is not None else ("web",), regexp)
        definition = Definition(name, Module("./m"), condition)
        self.bucket.put_definition(definition)
        self.tasks[name] = TaskEntry(
            definition.digest, condition, enabled=enabled, driver=driver, workspace=workspace
        )
        self.publish()

    def publish(self) -> None:
        number = self.table.live.number + 1 if self.table.live else 1
        version = self.bucket.put_generation(self._generation(number))
        sources = {"config/bundle.zip": f"v{number}"}
        self.table.live = Current(number, version, 1, sources, 0.0, [], [], [])

    def _generation(self, number: int) -> Generation:
        return Generation(number, 1, {}, self.tasks, former_state=self.former_state)

    def store(self, view: View, values: list[Any]) -> None:
        made = decoded(view, values)
        self.bucket.put(view.id, made)
        name = chunk_of(view.id)
        chunk = self.table.stored_chunks.get(name, Chunk(name))
        rows = {**chunk.rows, view.id: Answer(7, made).row}
        self.table.stored_chunks[name] = replace(chunk, version=chunk.version + 1, rows=rows)

    def web(self, *ports: int) -> None:
        """The rows of the service `web` are these."""
        self.store(WEB, [service_row(instance("web", port, Port=port)) for port in ports])

    def trigger(self, task: str) -> str:
        rows = {v: r for chunk in self.table.stored_chunks.values() for v, r in chunk.rows.items()}
        listing = None
        if LISTING.id in rows:
            listing = self.bucket.get(LISTING.id, rows[LISTING.id].digest)
        firsts = {LISTING.id: listing} if listing else {}
        entry = self.tasks[task]
        assert not unread(entry.conditions, rows, firsts)
        return fingerprint_of(entry.definition, looked_at(entry.condition, rows, firsts))

    def observe(self, task: str) -> None:
        state = observe(self.table.state(task), self.trigger(task), self.clock(), None, "why")
        self.put(state)

    def ask(self, task: str) -> None:
        self.put(ask(self.table.state(task), self.clock(), "person"))

    def put(self, state: TaskState) -> None:
        assert self.table.put_state(state)

    def done(self, task: str) -> None:
        """The task has applied what is stored now."""
        trigger = self.trigger(task)
        recent = (Outcome(f"{task}-0", True, self.clock()),)
        done = Done(f"{task}-0", trigger, trigger)
        self.put(replace(self.table.state(task), wanted={}, done=done, recent=recent))

    # ---- what happens ---------------------------------------------------------------------

    def start(self, task: str) -> start.StartOutcome:
        return start.start(self.start_ports, task)

    def started(self, task: str = "web") -> Run:
        """A run of the task whose build was started."""
        self.observe(task)
        assert self.start(task) is start.StartOutcome.STARTED
        return self.running(task)

    def running(self, task: str) -> Run:
        running = self.table.state(task).running
        assert running is not None
        return self.table.stored_runs[running.run]

    def write(self, run: Run, name: str, content: object) -> None:
        key = keys.run_object(run.task, run.id, name)
        self.bucket.write(key, json.dumps(content).encode())

    def begins(self, run: Run, build: str | None = None) -> None:
        self.write(run, "started", {"build": build or self.table.stored_runs[run.id].build})

    def result(self, run: Run, status: str, **more: object) -> None:
        self.write(run, "result.json", {"status": status, **more})

    def ends(
        self, run: Run, status: str = "SUCCEEDED", build: str | None = None
    ) -> track.TrackReport:
        """Its build's end is told."""
        build = build or self.table.stored_runs[run.id].build or ""
        if build in self.driver.builds:
            self.driver.builds[build].status = status
        return self.hears(build_event(run.task, run.id, build, status))

    def hears(self, event: dict[str, Any]) -> track.TrackReport:
        report = track.track(self.track_ports, event)
        assert report is not None
        return report

    def sweep(self) -> track.TrackReport:
        return track.sweep(self.track_ports)

    def former_runs(self, task: str = "web") -> list[str]:
        """The runs whose state locks the task's next run releases."""
        self.ask(task)
        assert self.start(task) is start.StartOutcome.STARTED
        archive = self.bucket.run_object(task, self.running(task).id, "archive.zip")
        with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
            return [each["run"] for each in json.loads(made.read("run.json"))["former_runs"]]

    @property
    def triggered(self) -> list[str]:
        return [event.task for event in self.bus.of(TaskTriggered)]


def system(cap: int = 5) -> System:
    """One task `web` whose view was read."""
    made = System(cap)
    made.task("web")
    made.web(80)
    return made
