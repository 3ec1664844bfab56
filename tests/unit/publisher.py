"""A publisher in memory, and what is pushed to it."""

import io
import zipfile
from collections.abc import Mapping
from copy import deepcopy
from functools import cache

from cts import keys
from cts.config.compile import CONTRACT
from cts.events import ConfigPublished, ConfigRejected
from cts.generation import Current, Generation
from cts.workflow.publish import PublishOutcome, PublishPorts, publish
from tests.fake_api_tasks import FakeApiTasks
from tests.fakes import Clock, FakeBucket, FakeBus, FakeMetrics, FakeTable

MODULE = 'variable "services" {}\n'
SECONDS = 60.0
"""That a publisher has."""
ENVIRONMENT = {"CONSUL_HTTP_ADDR": "https://consul:8501"}


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
        self.metrics, self.api_tasks = FakeMetrics(), FakeApiTasks()
        self.ports = PublishPorts(
            sources=self.bucket,
            api_tasks=self.api_tasks,
            attempts=self.table,
            published=self.table,
            tasks=self.table,
            objects=self.bucket,
            bus=self.bus,
            now=self.clock,
            environment=ENVIRONMENT,
            metrics=self.metrics,
        )

    def push(self, *tasks: str) -> None:
        files = {
            "config.hcl": "".join(tasks),
            "m/main.tf": MODULE,
            "other/main.tf": f"# {MODULE}{MODULE}",
        }
        self.push_bytes(zipped(files))

    def push_bytes(self, bundle: bytes) -> None:
        self.clock.now += 1
        self.bucket.write(keys.BUNDLE, bundle)

    def publish(self) -> PublishOutcome:
        return publish(self.ports, SECONDS).outcome

    @property
    def current(self) -> Current:
        assert self.table.live is not None
        return self.table.live

    @property
    def live(self) -> list[str]:
        return sorted(self.bucket.generation(self.current).tasks)

    def writes(self, prefix: str) -> int:
        """How often objects under the prefix were put."""
        return sum(len(all_) for key, all_ in self.bucket.objects.items() if key.startswith(prefix))


def world(*tasks: str) -> World:
    """A deployment with a live generation of these tasks."""
    return deepcopy(_world(tasks))


@cache
def _world(tasks: tuple[str, ...]) -> World:
    made = World()
    made.push(*tasks)
    assert made.publish() is PublishOutcome.PUBLISHED
    made.bus.events.clear()
    made.metrics.counted.clear()
    return made


def event_id(version: str, number: int, *, bad: bool = False) -> str:
    return f"{version}/{CONTRACT}/ConfigRejected" if bad else f"{version}/{number}/ConfigPublished"


def announced(made: World) -> set[str]:
    """The ids of what was announced."""
    return {
        event.id for event in made.bus.events if isinstance(event, ConfigPublished | ConfigRejected)
    }


def assert_chain(made: World) -> None:
    """Each generation names the one before it, down to the first; and the live one is whole."""
    number, digest = made.current.number, made.current.digest
    while digest:
        body = made.bucket.objects[keys.generation(number, digest)][-1]
        generation = Generation.from_json(body)
        assert generation.number == number
        number, digest = number - 1, generation.former
    assert number == 0
    for entry in made.bucket.generation(made.current).tasks.values():
        assert made.bucket.module(made.bucket.definition(entry.definition).module.digest)
