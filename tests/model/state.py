"""The system of one history: its ports, with a door before each where faults strike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from cts.adapters.build_records import BuildStatus
from cts.conditions.condition import Condition
from cts.conditions.schedule import ScheduleCondition
from cts.conditions.services import ServicesCondition
from cts.errors import Unavailable
from cts.generation import BufferPeriod, Current, Generation, TaskEntry
from cts.run.lane import Capacity
from cts.run.model import Run
from cts.terraform.definition import Definition, Module
from cts.terraform.place import RunPlace
from cts.watch.lease import Commit
from cts.watch.snapshot import EMPTY
from cts.workflow import poll, settle, start, track
from tests.fakes import (
    Clock,
    Counter,
    FakeBucket,
    FakeBus,
    FakeDriver,
    FakeMetrics,
    FakeSts,
    FakeTable,
    fake_sessions,
)
from tests.model.outside import FORMER_STATE, Asked, Build, Catalog
from tests.model.process import Killed, Process
from tests.model.warm import SECONDS, WarmDriver

if TYPE_CHECKING:
    from cts.events import TaskTriggered

TIMETABLES = ("*/2 * * * *", "*/5 * * * *")
EVERY_OTHER_MINUTE = ScheduleCondition(TIMETABLES[0])
TASKS: dict[str, tuple[Condition, tuple[Condition, ...]]] = {
    "both": (ServicesCondition(names=("a", "b")), ()),
    "one": (ServicesCondition(names=("a",)), ()),
    "some": (ServicesCondition(regexp="b"), ()),
    "timed": (EVERY_OTHER_MINUTE, (ServicesCondition(names=("a",)),)),
    "came": (ServicesCondition(names=("a", "b")), ()),
    "timer": (EVERY_OTHER_MINUTE, (ServicesCondition(regexp="b"),)),
}
"""Conditions and module inputs."""
EVENTS = {"came": ("added",)}
"""Of the tasks that not every change triggers."""
LANES = ("", "", "warm", "build")
BUFFERS = (None, BufferPeriod(5, 20))
DEPTH = 3
"""Actors nested in one another, at most."""
DANGEROUS = frozenset(
    {
        "poller.commit",
        "runner.start",
        "runner.record_build",
        "tracker.start",
        "driver.put_if_absent",
    }
)
DANGER = 8
"""How much likelier a fault is at the calls where it costs most."""


class Broken(AssertionError):
    """What must hold does not."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances at every port call."""

    killed: float
    unavailable: float
    nested: float


CALM = Faults(0, 0, 0)


class Door:
    """A port on whose every call something may happen."""

    def __init__(
        self, simulation: "State", who: str, port: Any, process: "Process | None" = None
    ) -> None:
        self._simulation, self._who, self._port, self._process = simulation, who, port, process

    def __getattr__(self, name: str) -> Any:
        call, simulation, label = getattr(self._port, name), self._simulation, f"{self._who}.{name}"
        if not callable(call):
            return call

        def through(*args: Any) -> Any:
            if self._process is not None and self._process.dead:
                raise Unavailable("it is dead")
            return simulation.through(label, call, args)

        return through


class Watcher(Process):
    """A poller's process, and what must be known of it from outside."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], float]) -> None:
        super().__init__(clock)
        self.now = now
        """The poller's own clock, which may be wrong."""
        self.ids = 0
        self.owner = ""


class Driver(FakeDriver):
    """CodeBuild, which at times leaves a living build out of its answer."""

    def __init__(self, state: "State") -> None:
        super().__init__(state.clock, Door(state, "driver", state.bucket))
        self._state = state

    def status(self, build: str) -> BuildStatus:
        if self._state.faults is not CALM and self._state.random.random() < 0.1:
            self._state.log("   CodeBuild leaves out", build)
            return BuildStatus(build=build)
        return super().status(build)


class State:
    def __init__(self, seed: int, steps: int = 70, *, trace: bool = False) -> None:
        self.random = Random(seed)
        self.steps = steps
        self.trace: list[str] | None = [] if trace else None
        self.clock = Clock()
        self.table, self.bucket, self.bus = FakeTable(), FakeBucket(), FakeBus()
        self.sessions = fake_sessions(FakeSts(self.clock), self.bucket)
        self.driver, self.ids = Driver(self), Counter()
        self.driver.token_lives = self.random.choice((300.0, 0.0))
        self.executor = WarmDriver(self, Door(self, "driver", self.bucket))
        self.catalog = Catalog()
        self.catalog.remember()
        self.former = dict(self.catalog.values)
        self.world: dict[str, str] = {}
        self.builds: dict[str, Build] = {}
        self.flying: list[TaskTriggered | dict[str, Any]] = []
        """What is sent to runner and tracker."""
        self.watchers: list[Watcher] = []
        self.asks: list[Asked] = []
        self.broken: set[str] = set()
        self.succeeded: dict[str, Run | None] = {}
        """Task -> its last successful run, None once something was applied after it."""
        self.fed: dict[tuple[str, str], list[str]] = {}
        """Task and view -> digests its runs were fed with."""
        self.held: list[tuple[float, str, bool]] = []
        """When a person held a task, or released it."""
        self.decided: set[str] = set()
        """Tasks that a person released although it could not be told where their state is."""
        self.moves: dict[str, str] = {}
        """Run -> where in Consul it has moved a state to; empty: to the stack."""
        self.depth = 0
        self.sent = 0
        self.calm_at = 0.0
        self.stored_at: dict[str, float] = {}
        """Task -> from when on the table has its data, after the storm."""
        self.generations: dict[int, Generation] = {}
        self.removed: dict[str, TaskEntry] = {}
        """Tasks that the live generation does not name."""
        self.requests = Counter()
        """To delete a task with what it has created."""
        self.heals_at_take_over_only = False
        self.live = self.random.random() < 0.8
        self.most_held = self.random.choice((64, 64, 3))
        self.relieved_before = self.random.choice((20.0, 850.0))
        self.skews = self.random.choice(((0.0,), (0.0, 3.0, -3.0), (0.0, 90.0, -90.0)))
        self.catalog.streams = self.random.random() < 0.5
        self.cap = self.random.choice((1, 2))
        self.storm = Faults(
            killed=self.random.choice((0, 0.01, 0.05)),
            unavailable=self.random.choice((0, 0.02, 0.06)),
            nested=self.random.choice((0.02, 0.1, 0.2)),
        )
        self.faults = CALM
        self._make_ports()
        self.generation = self._first_generation()

    def copies(self) -> int:
        """How often Lambda delivers an invocation."""
        return 1 if self.faults is CALM else self.random.choice((0, 1, 1, 1, 1, 1, 2, 2))

    def poll_ports(self, watcher: "Watcher") -> poll.PollPorts:
        def door(port: Any) -> Any:
            return Door(self, "poller", port, watcher)

        return poll.PollPorts(
            leases=door(self.table),
            watch=door(self.table),
            stale=door(self.table),
            snapshots=door(self.bucket),
            bus=door(self.bus),
            now=watcher.now,
            new_id=self.ids.new_id,
            transaction_limit=self.transaction_limit,
        )

    def _make_ports(self) -> None:
        self.transaction_limit = self.random.choice((2, 3, 3, 100))

        def door(who: str, port: Any) -> Any:
            return Door(self, who, port)

        def settling(who: str) -> settle.SettlePorts:
            return settle.SettlePorts(
                tasks=door(who, self.table),
                records=door(who, self.bucket),
                sessions=door(who, self.sessions),
                bus=door(who, self.bus),
                now=self.clock,
                chance=self.random.random,
                metrics=FakeMetrics(),
            )

        self.start_ports = start.StartPorts(
            settling=settling("runner"),
            tasks=door("runner", self.table),
            views=door("runner", self.table),
            objects=door("runner", self.bucket),
            fed=door("runner", self.bucket),
            drivers={
                "terraform": door("runner", self.driver),
                "executor": door("runner", self.executor),
            },
            place=RunPlace("work", "state", "eu-west-1", "1.13.0"),
            program=b"",
            bus=door("runner", self.bus),
            now=self.clock,
            new_run_id=self.ids.new_run_id,
            new_folder=self.ids.new_folder,
            cap=self.cap,
            capacity=Capacity(SECONDS, 1),
            records=door("runner", self.bucket),
            generations=door("runner", self.bucket),
        )
        self.track_ports = track.TrackPorts(
            settling=settling("tracker"),
            runs=door("tracker", self.table),
            heard_of=door("tracker", self.table),
            published=door("tracker", self.table),
            drivers={
                "terraform": door("tracker", self.driver),
                "executor": door("tracker", self.executor),
            },
            now=self.clock,
            cap=self.cap,
            generations=door("tracker", self.bucket),
        )

    # ---- configuration --------------------------------------------------------------------

    def _first_generation(self) -> Generation:
        buffer = self.random.choice(BUFFERS)
        tasks = {}
        for name, (condition, inputs) in TASKS.items():
            definition = Definition(name, Module("./m"), condition, inputs=inputs)
            self.bucket.put_definition(definition)
            events = EVENTS.get(name, ())
            entry = TaskEntry(
                definition.digest,
                condition,
                inputs=inputs,
                events=events,
                lane=self.random.choice(LANES),
            )
            tasks[name] = entry if condition.timetable else replace(entry, buffer=buffer)
        former_state = self.random.choice(("", FORMER_STATE))
        return self._publish(Generation(1, 1, {}, tasks, former_state=former_state))

    def _publish(self, made: Generation) -> Generation:
        version = self.bucket.put_generation(made)
        current = Current(made.number, version, 1, {"bundle": str(made.number)}, 0, [], [], [])
        assert self.table.put_current(self.table.current(), current)
        self.generations[made.number] = made
        return made

    def configure(self) -> None:
        task = self.random.choice(list(TASKS))
        tasks, chosen = dict(self.generation.tasks), self.random.random()
        if task in self.removed:
            tasks[task] = self.removed.pop(task)
        elif chosen < 0.3:
            self.removed[task] = tasks.pop(task)
        elif chosen < 0.65:
            definition = self._other(self.bucket.definition(tasks[task].definition))
            self.bucket.put_definition(definition)
            tasks[task] = replace(
                tasks[task], definition=definition.digest, condition=definition.condition
            )
        elif chosen < 0.8 and not tasks[task].leaving:
            request = self.requests.new_id()
            tasks[task] = replace(tasks[task], leaving=request, enabled=False)
        else:
            tasks[task] = replace(tasks[task], leaving="", enabled=not tasks[task].enabled)
        self.log("configure", task, tasks.get(task, "removed"))
        self.publish_tasks(tasks)

    def publish_tasks(self, tasks: Mapping[str, TaskEntry]) -> None:
        number = self.generation.number + 1
        self.generation = self._publish(replace(self.generation, number=number, tasks=tasks))

    def _other(self, definition: Definition) -> Definition:
        """A scheduled task gets another timetable, or looks at a service and back."""
        if TASKS[definition.task][0].timetable and self.random.random() < 0.5:
            conditions = [*map(ScheduleCondition, TIMETABLES), ServicesCondition(names=("b",))]
            return replace(definition, condition=self.random.choice(conditions))
        return replace(definition, variables={"n": self.random.choice((1, 2))})

    def definition(self, task: str) -> Definition:
        return self.bucket.definition(self.generation.tasks[task].definition)

    def is_ignored(self, done: Run, definition: str, now: Mapping[str, str]) -> bool:
        """Whether nothing has come since a success, as far as is known. `now`: digests by view."""
        if done.task not in EVENTS or done.definition != definition:
            return False
        is_known = done.id in self.bucket.fed(done.task)
        came = any(
            digest != EMPTY.digest and done.inputs.get(view, EMPTY.digest) == EMPTY.digest
            for view, digest in now.items()
        )
        return is_known and not came

    # ---- faults ---------------------------------------------------------------------------

    def log(self, *what: object) -> None:
        if self.trace is not None:
            self.trace.append(
                f"{self.clock.now:8.1f} {'  ' * self.depth}{' '.join(map(str, what))}"
            )

    def through(self, label: str, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        faults = self.faults
        if faults is CALM:
            self.log("  ", label)
            return call(*args)
        self._strike(label, faults, "before")
        result = call(*args)
        if result is Commit.DONE and self.table.leased and args[0] != self.table.leased.epoch:
            raise Broken("a deposed poller wrote")
        self.log("  ", label, "->", result if isinstance(result, bool | str) else "")
        self._strike(label, faults, "after")
        return result

    def _strike(self, label: str, faults: Faults, when: str) -> None:
        drawn = self.random.random() / (DANGER if label in DANGEROUS else 1)
        if drawn < faults.killed:
            self.log("   KILLED", when, label)
            raise Killed
        drawn -= faults.killed
        if drawn < faults.unavailable:
            self.log("   UNAVAILABLE", when, label)
            raise Unavailable(label)
        drawn -= faults.unavailable
        if drawn < faults.nested and self.depth < DEPTH:
            self.depth += 1
            try:
                self.step()
            finally:
                self.depth -= 1

    def step(self) -> None:
        """Something happens."""
        raise NotImplementedError
