"""A condition is added by its own file and one line of the registry."""

import asyncio
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from cts.conditions import registry, services
from cts.conditions.block import ConditionBlock, Room, Told
from cts.conditions.condition import Condition, Read
from cts.conditions.consul_kv import KEY
from cts.config.blocks.schema import option
from cts.config.compile import compile_bundle, generation
from cts.config.rules.problem import Code, Problem
from cts.generation import Generation
from cts.run.state import Reason
from cts.terraform.hclwrite import attribute_lines, const_attribute, statement, value
from cts.watch.query import Kind, View, request
from cts.watch.snapshot import Snapshot
from cts.workflow.once import once
from cts.workflow.poll import PollPorts
from cts.workflow.start import StartOutcome
from cts.workflow.watcher import LivePorts, PollOutcome
from tests.fake_consul import FakeConsul
from tests.fakes import Counter
from tests.unit.system import System
from tests.unit.test_drivers import Toy

TIDE = Kind(
    "tide",
    words=lambda name: f"the tide at {name}",
    path=lambda name: f"/v1/tide/{name}",
    decode=lambda answer: sorted(f"{each['hour']}: {each['height']} m" for each in answer),
    members=frozenset,
    newest=services.LISTING.newest,
)


@dataclass(frozen=True, slots=True)
class TideCondition(Condition):
    kind: ClassVar[str] = "tide"

    harbour: str

    def views(self, first: Snapshot | None) -> tuple[View, ...]:
        return (View(TIDE, self.harbour),)

    @property
    def variable(self) -> str:
        return "tides"

    def declaration(self, *, const: bool) -> str:
        attributes = {"type": "list(string)"} | const_attribute(const=const)
        return statement('variable "tides"', *attribute_lines(attributes))

    def value(self, read: Read) -> str:
        return value([each for view in self.views(None) for each in read[view.id].value])


@dataclass(frozen=True)
class TideBlock(ConditionBlock):
    variable: ClassVar[str] = "tides"

    harbour: str = option("", required='write harbour = "..."')

    def problems(self) -> Iterator[Problem]:
        if self.harbour == "inland":
            what, fix = "it has no sea", "write another harbour"
            yield self.where.problem(Code.INVALID_VALUE, what, fix, option="harbour")

    def compiled(self) -> Condition:
        return TideCondition(self.harbour)

    def told(self) -> Told:
        return Told(f"the tide at {self.harbour}")


ROOM = Room(TideBlock, compiled=TideCondition)

MODULE = b"""
variable "services" {}
variable "tides" {}
"""


def bundle(harbour: str = "brest", module: bytes = MODULE) -> dict[str, bytes]:
    text = f"""
        task {{
          name   = "gates"
          module = "./m"
          condition "tide" {{ harbour = "{harbour}" }}
        }}
    """
    return {"tasks.hcl": text.encode(), "m/main.tf": module}


@pytest.fixture(autouse=True)
def tide(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a new condition adds to what is there."""
    monkeypatch.setitem(registry.ROOMS, "tide", __name__)


class World(System):
    """A system that also has a poller."""

    def __init__(self, live: Generation) -> None:
        super().__init__()
        self.live, self.consul, self.ids = live, FakeConsul(), Counter()
        self.tasks = dict(live.tasks)
        self.publish()

    def current(self) -> Generation:
        return self.live

    async def _connection(self) -> str:
        return ""

    async def polled(self) -> PollOutcome:
        ports = PollPorts(
            leases=self.table,
            watch=self.table,
            stale=self.table,
            snapshots=self.bucket,
            bus=self.bus,
            now=self.clock,
            new_id=self.ids.new_id,
        )
        run = LivePorts(
            ports=ports,
            generations=self,
            consul=lambda: self.consul,
            has_state=lambda _task: False,
            connection=self._connection,
            thread=lambda: ThreadPoolExecutor(1),
            chance=lambda: 0.5,
            owner=self.ids.new_id(),
            until=self.clock() + 60,
            on_beat=lambda _: None,
            on_change=lambda _: None,
            on_trouble=lambda _: None,
        )
        return await once(run)

    def says(self, *heights: int) -> PollOutcome:
        """What Consul has now, and what a poller makes of it."""

        async def happen() -> PollOutcome:
            await self.consul.set(
                "brest", [{"hour": n, "height": h} for n, h in enumerate(heights)]
            )
            return await self.polled()

        return asyncio.run(happen())


def compiled_world() -> World:
    compiled = compile_bundle(bundle()).compiled
    assert compiled
    made = World(Generation.from_json(generation(compiled, 1, {}).to_json()))
    made.bucket.put_compiled(list(compiled.definitions.values()), compiled.modules)
    return made


def test_a_change_of_what_it_looks_at_is_noticed_and_reaches_the_module() -> None:
    world = compiled_world()
    assert world.says(3) is PollOutcome.WRITTEN
    former = world.table.state("gates").wanted[Reason.CHANGE]
    assert world.says(3) is PollOutcome.NOTHING_NEW
    assert world.says(3, 5) is PollOutcome.WRITTEN
    assert world.table.state("gates").wanted[Reason.CHANGE] != former
    state_of_cts = View(KEY, "consul-terraform-sync/terraform-env:gates")
    assert world.consul.views == {View(TIDE, "brest"), state_of_cts}

    assert world.start("gates") is StartOutcome.STARTED
    run = world.running("gates")
    assert run.inputs.keys() == {View(TIDE, "brest").id}
    archive = world.bucket.run_object("gates", run.id, "archive.zip")
    with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
        files = {name: made.read(name).decode() for name in made.namelist()}
    assert 'tides    = ["0: 3 m", "1: 5 m"]\n' in files["terraform.tfvars"]
    assert "services = {}\n" in files["terraform.tfvars"]
    assert 'variable "tides" {\n  type = list(string)\n}\n' in files["variables.tf"]
    assert "  tides    = var.tides\n" in files["main.tf"]


def test_its_task_runs_on_another_driver_too() -> None:
    world, toy = compiled_world(), Toy()
    world.tasks = {"gates": replace(world.live.tasks["gates"], driver="toy")}
    world.live = replace(world.live, tasks=world.tasks)
    world.publish()
    world.drivers["toy"] = toy
    assert world.says(3) is PollOutcome.WRITTEN
    assert world.start("gates") is StartOutcome.STARTED
    run = world.running("gates")
    assert toy.runs == {run.id: "queued"}
    world.hears({"toy": run.id, "task": "gates", "word": "applied"})
    done = world.table.state("gates").done
    assert done is not None
    assert done.run == run.id


def test_its_own_request_and_words_are_used() -> None:
    view = View(TIDE, "brest", "dc2")
    assert request(view).path == "/v1/tide/brest"
    assert request(view).params == {"dc": "dc2"}
    assert str(view) == "the tide at brest (datacenter dc2)"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        (bundle("inland"), Code.INVALID_VALUE),
        (bundle(""), Code.MISSING_OPTION),
        (bundle(module=b'variable "services" {}'), Code.MODULE_WITHOUT_INPUT),
    ],
)
def test_its_rules_are_checked(files: dict[str, bytes], code: Code) -> None:
    assert [problem.code for problem in compile_bundle(files).problems] == [code]


def test_without_it_the_label_is_refused_and_what_is_stored_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = compile_bundle(bundle()).compiled
    assert compiled
    stored = generation(compiled, 1, {}).to_json()
    assert Generation.from_json(stored).tasks.keys() == {"gates"}
    monkeypatch.delitem(registry.ROOMS, "tide")
    assert Generation.from_json(stored).tasks == {}
    assert [each.code for each in compile_bundle(bundle()).problems] == [Code.CONDITION_TYPE]


def test_kinds_are_told_apart_by_their_names_alone() -> None:
    def other(answer: Any) -> list[Any]:
        return [answer]

    again = Kind("tide", words=str, path=str, decode=other, members=frozenset, newest=())
    assert View(again, "brest") == View(TIDE, "brest")
    assert hash(again) == hash(TIDE)
    assert again < Kind("tides", words=str, path=str, decode=other, members=frozenset, newest=())
