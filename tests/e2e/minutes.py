"""A stack whose schedules are fired by hand: each tick stands for a minute, and what the functions
count in it belongs to that minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local import emf
from local.alarms import MINUTE, Changes, watch
from local.waiting import wait_until
from tests.e2e.world import EVERY, PATIENCE
from tests.template.written import alarms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.world import World

ALARMS = alarms()
STACK = "cts"
LOGS = ("Poller", "Publisher", "Runner", "Tracker", "Api", "Button")
SOON = 0.1
"""Seconds between two looks at a condition."""


class Minutes:
    def __init__(self, world: World) -> None:
        self.world, self.passed = world, 0
        self.counted: list[tuple[int, emf.Sample]] = []
        self._known = {name: len(self._log(name)) for name in LOGS}

    def _log(self, name: str) -> str:
        return self.world.stack.function_log(name)

    def _passes(self) -> int:
        """How often a poller has come to its end."""
        return self._log("Poller").count('"message":"left"')

    def tick(self, *, poller: bool = True) -> None:
        """One minute: both functions do their work."""
        before = self._passes()
        # Not by its schedule, which does not wait for its end.
        self.world.client("lambda").invoke(FunctionName=f"{STACK}-tracker", Payload=b"{}")
        if poller:
            self.world.stack.fire("Poller")
            wait_until(lambda: self._passes() > before, PATIENCE, "the poller's pass", every=SOON)
        for name in LOGS:
            log = self._log(name)
            new, self._known[name] = log[self._known[name] :], len(log)
            self.counted += [(self.passed, sample) for sample in emf.samples(new)]
        self.passed += 1

    def tick_on(self, minutes: int) -> None:
        for _ in range(minutes):
            self.tick()

    def quiet(self, minutes: int) -> None:
        """Minutes in which nobody does anything: once one has counted what the one before it has,
        the next ones are like it."""
        self.tick()
        for left in reversed(range(minutes - 1)):
            before = self._counted_last()
            self.tick()
            if self._counted_last() == before:
                self.go_on(left)
                return

    def _counted_last(self) -> list[str]:
        """Which metrics the last minute has, whatever their values."""
        return sorted(f"{each.name} {each.dimensions}" for each in self.of_minute(self.passed - 1))

    def go_on(self, minutes: int) -> None:
        """Nothing is different in the next ones than in the last one."""
        last = self.of_minute(self.passed - 1)
        for _ in range(minutes):
            self.counted += [(self.passed, sample) for sample in last]
            self.passed += 1

    def of_minute(self, minute: int) -> list[emf.Sample]:
        return [sample for at, sample in self.counted if at == minute]

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Tick until something has come about."""

        def come_about() -> Any:
            if not (found := condition()):
                self.tick()
            return found

        wait_until(come_about, PATIENCE, what, every=EVERY)

    def series(self, name: str) -> list[tuple[float, float]]:
        """(second, value) of what an alarm of the template looks at."""
        alarm = ALARMS[name]
        wanted = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        wanted = {key: STACK if key == "stack" else value for key, value in wanted.items()}
        return [
            (minute * MINUTE + 5, sample.value)
            for minute, sample in self.counted
            if (sample.name, sample.dimensions) == (alarm["MetricName"], wanted)
        ]

    def alarm(self, name: str) -> Changes:
        """When the alarm of the template was raised and ended, in these minutes."""
        return watch(ALARMS[name], self.series(name), self.passed)


def raised(minutes: Minutes, name: str) -> None:
    """It was raised once, and goes on."""
    found = minutes.alarm(name)
    assert len(found.raised) == 1
    assert found.ended == []


def ended(minutes: Minutes, name: str) -> None:
    found = minutes.alarm(name)
    assert (len(found.raised), len(found.ended)) == (1, 1)
