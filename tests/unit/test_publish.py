"""The publisher: a pushed bundle becomes the live generation, or is rejected with reasons."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from cts.adapters import keys
from cts.errors import Unavailable
from cts.events import ConfigPublished, ConfigRejected
from cts.workflow import publish as workflow
from cts.workflow.publish import Outcome, Ports, publish
from tests.fakes import Clock, FakeBucket, FakeBus, FakeTable, before_next, failing

MODULE = 'variable "services" {}\n'


def task(name: str, service: str = "web", module: str = "./m") -> str:
    return (
        f'task {{\n  name = "{name}"\n  module = "{module}"\n'
        f'  condition "services" {{\n    names = ["{service}"]\n  }}\n}}\n'
    )


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


class World:
    def __init__(self) -> None:
        self.table, self.bucket, self.bus, self.clock = (
            FakeTable(),
            FakeBucket(),
            FakeBus(),
            Clock(),
        )
        self.ports = Ports(self.bucket, self.table, self.bucket, self.bus, self.clock)

    def push(self, *tasks: str) -> None:
        self.push_bytes(zipped({"config.hcl": "".join(tasks), "m/main.tf": MODULE}))

    def push_bytes(self, bundle: bytes) -> None:
        self.clock.now += 1
        self.bucket.write(keys.BUNDLE, bundle)

    def publish(self) -> Outcome:
        return publish(self.ports)

    @property
    def live(self) -> list[str]:
        assert self.table.live is not None
        return sorted(self.bucket.generation(self.table.live).tasks)


def world(*tasks: str) -> World:
    """A deployment with a live generation of these tasks."""
    made = World()
    made.push(*tasks)
    assert made.publish() is Outcome.PUBLISHED
    made.bus.events.clear()
    return made


def test_nothing_pushed_is_nothing_published() -> None:
    assert World().publish() is Outcome.NOTHING_PUSHED


def test_a_bundle_becomes_the_live_generation() -> None:
    made = World()
    made.push(task("web"))
    assert made.publish() is Outcome.PUBLISHED
    current = made.table.live
    assert current is not None
    assert (current.number, current.sources, current.unannounced) == (1, {keys.BUNDLE: "1"}, [])
    entry = made.bucket.generation(current).tasks["web"]
    definition = made.bucket.definition(entry.definition)
    assert made.bucket.module(definition.module.digest)
    [told] = made.bus.of(ConfigPublished)
    assert (told.id, told.number, told.source_version) == ("1/ConfigPublished", 1, "1")
    assert (told.added, told.changed, told.removed) == (["web"], [], [])


def test_the_event_says_what_the_push_does_to_each_task() -> None:
    made = world(task("a"), task("b"), task("c"))
    made.push(task("b", service="api"), task("c"), task("d"))
    made.publish()
    [told] = made.bus.of(ConfigPublished)
    assert (told.number, told.added, told.changed, told.removed) == (2, ["d"], ["b"], ["a"])


def test_the_same_push_again_is_known() -> None:
    made = world(task("web"))
    before = made.table.live
    assert made.publish() is Outcome.KNOWN
    assert made.table.live == before
    assert made.bus.events == []


def test_a_bad_push_keeps_the_old_configuration_and_says_what_is_wrong() -> None:
    made = world(task("web"))
    made.push('task {\n  name = "web"\n  nmae = "x"\n}\n')
    assert made.publish() is Outcome.REJECTED
    assert made.live == ["web"]
    [told] = made.bus.of(ConfigRejected)
    assert told.id == "2/ConfigRejected"
    assert told.problem_count == len(told.problems) > 0
    assert any(each["line"] == 3 and each["path"].endswith(".nmae") for each in told.problems)
    assert made.table.refused is not None
    assert made.table.refused.problems == json.loads(json.dumps(told.problems))
    assert made.publish() is Outcome.KNOWN


def test_after_a_bad_push_a_good_one_goes_live() -> None:
    made = world(task("web"))
    made.push("task {")
    made.publish()
    made.push(task("api"))
    assert made.publish() is Outcome.PUBLISHED
    assert made.live == ["api"]


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no zip at all", id="not-a-zip"),
        pytest.param(zipped({"config.hcl": "x" * 99})[:60], id="cut-off"),
        pytest.param(zipped({"main.tf": ""}), id="no-configuration-in-it"),
    ],
)
def test_what_cannot_be_read_is_rejected(bundle: bytes) -> None:
    made = world(task("web"))
    made.push_bytes(bundle)
    assert made.publish() is Outcome.REJECTED
    assert made.live == ["web"]


def test_a_bundle_that_unpacks_to_too_much_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "LARGEST_BUNDLE", 10)
    made = World()
    made.push(task("web"))
    assert made.publish() is Outcome.REJECTED


def test_whoever_comes_second_reads_and_compiles_again() -> None:
    made = World()
    made.push(task("old"))

    def another_publishes() -> None:
        made.push(task("new"))
        assert made.publish() is Outcome.PUBLISHED

    before_next(made.table, "put_current", another_publishes)
    assert made.publish() is Outcome.KNOWN
    assert made.live == ["new"]
    assert made.table.live is not None
    assert made.table.live.number == 1


def test_a_rejection_that_comes_second_is_decided_again() -> None:
    made = World()
    made.push("task {")

    def another_rejects() -> None:
        made.push("taks {}")
        assert made.publish() is Outcome.REJECTED

    before_next(made.table, "put_rejected", another_rejects)
    assert made.publish() is Outcome.KNOWN
    assert made.table.refused is not None
    assert made.table.refused.sources == {keys.BUNDLE: "2"}


@pytest.mark.parametrize("push", [task("web"), "task {"])
def test_what_could_not_be_sent_is_sent_the_next_time(push: str) -> None:
    made = World()
    made.push(push)
    down = Unavailable("the bus is down")
    with failing(made.bus, "send", down), pytest.raises(Unavailable):
        made.publish()
    assert made.publish() is Outcome.KNOWN
    assert made.publish() is Outcome.KNOWN
    assert len(made.bus.events) == 1


class Killed(BaseException):
    pass


class Dying:
    """A port in a process that is killed at its n-th call."""

    def __init__(self, port: object, calls: list[int], *, after: bool) -> None:
        self._port, self._calls, self._after = port, calls, after

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self._calls[0] -= 1
            if self._calls[0] == 0 and not self._after:
                raise Killed
            result = getattr(self._port, name)(*args)
            if self._calls[0] == 0:
                raise Killed
            return result

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("bad", [False, True], ids=["good", "bad"])
@pytest.mark.parametrize("nth", range(1, 12))
def test_killed_at_any_call_it_leaves_the_old_or_the_new_and_the_next_one_ends_it(
    nth: int, *, bad: bool, after: bool
) -> None:
    made = world(task("web"))
    made.push("task {" if bad else task("api"))
    calls = [nth]

    def dying(port: object) -> Any:
        return Dying(port, calls, after=after)

    ports = Ports(
        dying(made.bucket), dying(made.table), dying(made.bucket), dying(made.bus), made.clock
    )
    try:
        publish(ports)
    except Killed:
        assert made.live in (["web"], ["api"])
    made.publish()
    assert made.live == (["web"] if bad else ["api"])
    assert made.bus.events, "it was told"
    assert {type(event) for event in made.bus.events} == {
        ConfigRejected if bad else ConfigPublished
    }
    answer = made.table.refused if bad else made.table.live
    assert answer is not None
    assert answer.unannounced == []
