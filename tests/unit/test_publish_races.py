"""Publishers that die, and publishers that are two: at any of their calls."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from cts import keys
from cts.events import ConfigPublished
from cts.workflow.publish import PublishPorts, publish
from tests.unit.publisher import (
    ENVIRONMENT,
    SECONDS,
    World,
    announced,
    assert_chain,
    event_id,
    task,
    world,
)

pytestmark = pytest.mark.slow

Happens = Callable[[], None]


class Killed(BaseException):
    pass


class Watched:
    """A port of a process to which something happens at its n-th call."""

    def __init__(self, port: object, calls: list[int], happens: Happens, *, after: bool) -> None:
        self._port, self._calls, self._happens, self._after = port, calls, happens, after

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self._calls[0] -= 1
            now = self._calls[0] == 0
            if now and not self._after:
                self._happens()
            result = getattr(self._port, name)(*args)
            if now and self._after:
                self._happens()
            return result

        return call


def watched(made: World, nth: int, happens: Happens, *, after: bool = False) -> PublishPorts:
    """The ports of another publisher, to which something happens at its n-th call."""
    calls = [nth]

    def port(of: object) -> Any:
        return Watched(of, calls, happens, after=after)

    bucket, table, bus = port(made.bucket), port(made.table), port(made.bus)
    return PublishPorts(
        sources=bucket,
        api_tasks=made.api_tasks,
        attempts=table,
        published=table,
        tasks=table,
        objects=bucket,
        bus=bus,
        now=made.clock,
        environment=ENVIRONMENT,
        metrics=made.metrics,
    )


def dies() -> None:
    raise Killed


CALLS = 16
"""That a publisher makes."""
NTH = pytest.mark.parametrize("nth", range(1, CALLS + 1))
AFTER = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


def test_something_happens_at_each_call() -> None:
    happened: list[int] = []
    for nth in (CALLS, CALLS + 1):
        made = world(task("web"))
        made.push(task("api"))
        publish(watched(made, nth, partial(happened.append, nth)), SECONDS)
    assert happened == [CALLS]


@AFTER
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@NTH
def test_killed_at_any_call_it_leaves_the_old_or_the_new_and_the_next_one_ends_it(
    nth: int, *, bad: bool, after: bool
) -> None:
    made = world(task("web"))
    made.push("task {" if bad else task("api"))
    with suppress(Killed):
        publish(watched(made, nth, dies, after=after), SECONDS)
    assert made.live in (["web"], ["api"])
    assert_chain(made)
    made.publish()
    assert made.live == (["web"] if bad else ["api"])
    assert_chain(made)
    assert announced(made) == {event_id("2", 2, bad=bad)}
    answer = made.table.refused if bad else made.table.live
    assert answer is not None
    assert answer.unannounced == []


@AFTER
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@NTH
def test_what_a_killed_publisher_wrote_is_announced_although_another_push_follows(
    nth: int, *, bad: bool, after: bool
) -> None:
    made = world(task("web"))
    made.push("task {" if bad else task("api"))
    with suppress(Killed):
        publish(watched(made, nth, dies, after=after), SECONDS)
    answer = made.table.refused if bad else made.table.live
    written = answer is not None and answer.sources == {keys.BUNDLE: "2"}
    made.push("taks {" if bad else task("db"))
    made.publish()
    pushes = ("2", "3") if written else ("3",)
    assert announced(made) == {
        event_id(push, number, bad=bad) for number, push in enumerate(pushes, start=2)
    }
    answers = made.metrics.counted["ConfigsRejected" if bad else "ConfigsPublished"]
    assert sum(answers) >= len(pushes)


@AFTER
@pytest.mark.parametrize("newer", [False, True], ids=["the-same-push", "a-newer-push"])
@NTH
def test_of_two_at_once_the_newest_push_is_live_in_the_end(
    nth: int, *, newer: bool, after: bool
) -> None:
    made = world(task("web"))
    made.push(task("api"))

    def another_publishes() -> None:
        if newer:
            made.push(task("db"))
        made.publish()

    publish(watched(made, nth, another_publishes, after=after), SECONDS)
    made.publish()
    assert made.live == (["db"] if made.current.sources == {keys.BUNDLE: "3"} else ["api"])
    assert made.current.sources == {keys.BUNDLE: str(len(made.bucket.objects[keys.BUNDLE]))}
    assert_chain(made)
    numbers = {event.number for event in made.bus.of(ConfigPublished)}
    assert numbers == {*range(2, made.current.number + 1)}
