"""What the fault tests share: how a fault is varied, a module whose apply a test holds up or
fails, and what must hold once the fault is over."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from cts.keys import session_name
from cts.watch.lease import HEARTBEAT_EVERY
from tests.e2e.world import PATIENCE, RECORD_FILES, task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from random import Random

    from cts.run.model import Run
    from cts.watch.lease import Lease
    from tests.e2e.records import Mark
    from tests.e2e.world import World

Choice = TypeVar("Choice")

ROUNDS = [
    pytest.param(0, id="once"),
    *(pytest.param(number, id=f"soak-{number}", marks=pytest.mark.soak) for number in range(1, 11)),
]
"""`make test` injects each fault once, as round 0; `make soak` ten times, each time elsewhere."""

LANES = ("build", "warm")
CALL = {"build": "StartBuild", "warm": "InvokeFunction"}
"""With which a runner starts a run."""
TOLD = {"build": "CodeBuild Build State Change", "warm": "Object Created"}
"""The event by which the tracker hears that a run has ended."""

STEPS = "./modules/steps"
"""Like `record`; then, for each instance, runs the shell command in its meta value `step`."""
STEPS_FILES = {
    "modules/steps/main.tf": RECORD_FILES["modules/record/main.tf"]
    + """
resource "terraform_data" "step" {
  for_each         = var.services
  triggers_replace = each.value
  depends_on       = [terraform_data.services]

  provisioner "local-exec" {
    command = lookup(each.value.meta, "step", "true")
  }
}
"""
}

_ports = itertools.count(1024)


@dataclass(slots=True)
class Chance:
    """How this round differs from the others; what it chose is told in the soak's report."""

    round: int
    random: Random
    told: dict[str, str] = field(default_factory=dict)

    def pick(self, what: str, usual: Choice, *others: Choice) -> Choice:
        """The usual choice in round 0; then each in turn."""
        choices = (usual, *others)
        picked = choices[(self.round - 1) % len(choices)] if self.round else usual
        self.told[what] = _worded(picked)
        return picked

    def seconds(self, what: str, usual: float, least: float, most: float) -> float:
        picked = round(self.random.uniform(least, most), 2) if self.round else usual
        self.told[what] = f"{picked} s"
        return picked


def _worded(choice: object) -> str:
    if isinstance(choice, dict):
        return " ".join(str(each) for each in choice.values())
    return str(choice)


def publish(world: World, tasks: Mapping[str, str], also: str = "") -> None:
    """Publish tasks (name: service) with the module `steps`, and other text; in one push, so that
    one poller has ever been there. Waits until each of the tasks has had its first run. A task
    whose name ends with a lane (`of`) takes it."""
    text = "".join(
        task(name, service, module=STEPS, lane=lane_of(name)) for name, service in tasks.items()
    )
    world.publish({**STEPS_FILES, "faults.hcl": text + also})
    for name, service in tasks.items():
        world.applied_right(name, service)


def of(name: str, lane: str) -> str:
    return f"{name}-{lane}"


def lane_of(name: str) -> str:
    """Empty if the name ends with none."""
    return next((lane for lane in LANES if name.endswith(f"-{lane}")), "")


def in_each_lane(task: str) -> pytest.MarkDecorator:
    """A test of a fault that is another one in another lane: with `name`, of a task in each."""
    return pytest.mark.parametrize("name", [of(task, lane) for lane in LANES])


def in_one_lane(task: str) -> pytest.MarkDecorator:
    """A test of what both lanes have in common: `make soak` tests it in the other one, too, and
    there once more."""
    other = pytest.param(of(task, "build"), marks=pytest.mark.soak)
    return pytest.mark.parametrize("name", [of(task, "warm"), other])


def only_in(lane: str, task: str) -> pytest.MarkDecorator:
    """A test of what there is in one lane alone, or before one is chosen."""
    return pytest.mark.parametrize("name", [of(task, lane)])


def names(request: pytest.FixtureRequest) -> list[str]:
    """The names that the module's tests will be called with."""
    tests = [each for each in request.session.items if isinstance(each, pytest.Function)]
    return sorted(
        {str(each.callspec.params["name"]) for each in tests if each.path == request.path}
    )


def change(world: World, service: str, step: str = "true") -> None:
    """Change the one instance of a service: another port each time."""
    register(world, service, next(_ports), step)


def register(world: World, service: str, port: int, step: str = "true") -> None:
    world.catalog.register(f"{service}-1", service, "10.9.0.1", port, Meta={"step": step})


# ---- faults -------------------------------------------------------------------------------


def inject(world: World, **rule: Any) -> int:
    return world.stack.fault(**rule)


def struck(world: World, fault: int, times: int = 1, seconds: float = PATIENCE) -> None:
    """Wait until the fault has done what it does."""

    def fired() -> bool:
        return any(each["id"] == fault and each["fired"] >= times for each in world.stack.faults())

    world.until(fired, f"fault {fault} to strike", seconds)


def hold(world: World, **calls: Any) -> int:
    """Hold the first such call, or those that the rule names, until all faults are cleared. Its
    client gives it up after ten seconds and tries again."""
    return inject(world, do="delay", seconds=PATIENCE, **calls)


def the_held(world: World, fault: int) -> dict[str, Any]:
    """Wait for the record of the one call that was held, which says what became of it."""

    def answered() -> list[dict[str, Any]]:
        return [call for call in world.calls() if fault in call["faults"]]

    [call] = world.until(answered, "the held call to be answered")
    return call


class Gate:
    """A point in an apply that a build reaches and waits at until the test opens it."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self._reached, self._open = folder / f"{name}.reached", folder / f"{name}.open"
        for file in (self._reached, self._open):
            file.unlink(missing_ok=True)

    @property
    def step(self) -> str:
        """The shell command that waits; not for ever."""
        waiting = f"until test -e {self._open}; do sleep 0.2; done"
        return f"touch {self._reached}; timeout 120 sh -c '{waiting}'"

    def reached(self) -> bool:
        return self._reached.exists()

    def open(self) -> None:
        self._open.touch()


def gate(world: World, name: str) -> Gate:
    return Gate(world.stack.folder / "gates", name)


# ---- what must hold -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watched:
    """A task from now on."""

    world: World
    task: str
    service: str
    mark: Mark
    former: frozenset[str]

    def runs(self) -> list[Run]:
        return [run for run in self.world.runs(self.task) if run.id not in self.former]

    def ended(self, count: int, seconds: float = PATIENCE) -> list[Run]:
        """Wait until this many runs have ended since, or more."""

        def found() -> list[Run]:
            runs = [run for run in self.runs() if run.status.ended]
            return runs if len(runs) >= count else []

        return self.world.until(found, f"{count} more runs of {self.task} to end", seconds)

    def ends_well(self, *statuses: str, seconds: float = PATIENCE) -> list[Run]:
        """Wait until the task is at rest with what Consul says applied; and there were exactly
        runs with these statuses, each announced, never two builds at once, no slot left taken."""
        self.world.applied_right(self.task, self.service, seconds=seconds)
        self._after_one_more_sweep()
        runs = self.runs()
        assert [run.status.value for run in runs] == list(statuses)
        assert self.world.inputs(runs[-1]) == self.world.expected(self.service)
        assert self.world.applied(self.task) == self.world.expected(self.service)
        state = self.world.state(self.task)
        assert (state.wanted, state.running, state.unannounced) == ({}, None, ())
        assert (state.done and state.done.run, state.queued_since) == (runs[-1].id, None)
        assert not self.world.table.slots() & {run.id for run in runs}
        self._assert_announced(runs)
        self._assert_applied_once(runs)
        self._assert_no_two_builds_at_once()
        return runs

    def _after_one_more_sweep(self) -> None:
        """What a late event or a doubled one would do, it has done by then."""
        mark = self.world.mark()
        queries_of_a_sweep = 2

        def swept() -> bool:
            queries = self.world.calls(mark, caller="Tracker", action="Query")
            return len(queries) >= 2 * queries_of_a_sweep

        self.world.until(swept, "one more sweep")

    def _assert_announced(self, runs: list[Run]) -> None:
        sent = self.world.events("RunFinished", self.mark, task=self.task)
        told = {event["detail"]["run_id"]: event["detail"]["status"] for event in sent}
        # A run that was given up before its build began did nothing that could be told.
        assert told == {run.id: run.status.value for run in runs if run.status != "canceled"}

    def _assert_applied_once(self, runs: list[Run]) -> None:
        begun = [
            key
            for call in self.world.calls(self.mark, caller="build", action="PutObject", status=200)
            for key in call["keys"]
            if f"runs/{self.task}/" in key and key.endswith("/applying")
        ]
        assert len(begun) == len(set(begun))
        applied = [run for run in runs if run.status == "applied"]
        assert all(any(run.id in key for key in begun) for run in applied)

    def _assert_no_two_builds_at_once(self) -> None:
        """Of each run, from the first call that was made with its session to the last one."""
        calls = self.world.calls(self.mark, caller="build")
        spans = []
        for run in self.runs():
            name = f"/{session_name(run.id)}"
            made = [each["n"] for each in calls if each["principal"].endswith(name)]
            spans += [(made[0], made[-1])] if made else []
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(sorted(spans)))


def watch(world: World, name: str, service: str | None = None) -> Watched:
    """Look at a task from now on; its service has its name, if none is given."""
    former = frozenset(run.id for run in world.runs(name))
    return Watched(world, name, service or name, world.mark(), former)


# ---- pollers --------------------------------------------------------------------------------

REPLACED = 150.0
"""Seconds to wait for a poller to be replaced: 60 after its last heartbeat, and some."""


def living_poller(world: World) -> Lease:
    """Wait until a poller holds the lease that has beaten since it took it, and not long ago."""

    def alive() -> Lease | None:
        lease = world.table.lease()
        if lease is None or lease.heartbeat_at == lease.started_at:
            return None
        return lease if time.time() - lease.heartbeat_at < HEARTBEAT_EVERY + 2 else None

    return world.until(alive, "a living poller", REPLACED)


def lose_poller(world: World) -> None:
    """Kill the poller, as if that was a minute ago: the next tick replaces it at once."""
    world.stack.kill("Poller")
    if lease := world.table.lease():
        world.table.beat(replace(lease, heartbeat_at=0.0))
    world.stack.fire("Poller")


def replaced(world: World, former: Lease) -> Lease:
    """Wait until another poller than the former one holds the lease."""

    def newer() -> Lease | None:
        lease = world.table.lease()
        return lease if lease and lease.epoch > former.epoch else None

    return world.until(newer, "a new poller", REPLACED)
