"""Where a task keeps its state, and what CTS may have left in Consul."""

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cts.conditions import consul_kv
from cts.config.compile import compile_bundle, generation
from cts.errors import Refused, Unavailable
from cts.generation import Generation
from cts.run.person import hold, release
from cts.run.place import PROGRAM, StatePlace, is_placed, place, released
from cts.run.state import Done, Former, Outcome, TaskState
from cts.watch.query import View
from cts.workflow import former_state
from cts.workflow.live import PLACES_EVERY, live
from cts.workflow.once import once
from cts.workflow.start import StartOutcome
from tests.fake_consul import FakeConsul, instance
from tests.unit.poller_world import BOTH, ONE, World
from tests.unit.system import system
from tests.unit.virtual_time import run

PATH = "consul-terraform-sync/terraform"
KEY = f"{PATH}-env:web"
ANN = "arn:aws:iam::111122223333:user/ann"
NEW = TaskState("web")
TASK = """
task {
  name   = "web"
  module = "ns/m/aws"
  condition "services" {
    names = ["web"]
  }
}
"""


# ---- what follows from what was found -----------------------------------------------------


@pytest.mark.parametrize(("found", "path"), [(StatePlace.STACK, ""), (StatePlace.CONSUL, PATH)])
def test_a_place_is_decided_once(found: StatePlace, path: str) -> None:
    state = place(NEW, found, PATH, 10.0)
    assert (state.place, state.path, state.hold) == (found, path, None)
    for other in (*StatePlace, "unknown"):
        assert place(state, other, "elsewhere", 20.0) == state


@pytest.mark.parametrize(
    "state",
    [
        replace(NEW, done=Done("web-1", "A", "A")),
        replace(NEW, recent=(Outcome("web-1", False, 5.0),)),
        replace(NEW, former=(Former("web-1", 5.0),)),
    ],
)
def test_a_task_that_has_run_has_its_place(state: TaskState) -> None:
    assert is_placed(state)
    assert place(state, StatePlace.CONSUL, PATH, 10.0) == state


def test_what_can_not_be_told_holds_the_task_until_it_can() -> None:
    held = place(NEW, "no permission", PATH, 10.0)
    assert held.held is not None
    assert (held.held.by, held.hold, is_placed(held)) == (PROGRAM, "no permission", False)
    assert place(held, "still none", PATH, 20.0) == held
    known = place(held, StatePlace.CONSUL, PATH, 30.0)
    assert (known.hold, known.place) == (None, StatePlace.CONSUL)
    assert known.holds[0].released_by == PROGRAM


def test_who_releases_it_decides_that_there_is_nothing() -> None:
    after = released(place(NEW, "no permission", PATH, 10.0), ANN, 20.0)
    assert (after.hold, after.place, after.holds[0].released_by) == (None, StatePlace.STACK, ANN)


def test_another_hold_says_nothing_of_the_place() -> None:
    held = hold(NEW, "why", ANN, 10.0)
    assert place(held, StatePlace.CONSUL, PATH, 20.0).hold == "why"
    assert released(held, ANN, 30.0) == release(held, ANN, 30.0)


def test_what_another_holds_notes_that_its_place_can_not_be_told_until_it_can() -> None:
    held = hold(NEW, "why", ANN, 10.0)
    unsure = place(held, "no permission", PATH, 20.0)
    assert (unsure.hold, unsure.unplaced, unsure.holds) == ("why", "no permission", held.holds)
    known = place(unsure, StatePlace.CONSUL, PATH, 30.0)
    assert (known.hold, known.unplaced, known.place) == ("why", "", StatePlace.CONSUL)


def test_who_releases_it_for_another_reason_decides_nothing_of_its_place() -> None:
    unsure = place(hold(NEW, "why", ANN, 10.0), "no permission", PATH, 20.0)
    after = released(unsure, ANN, 30.0)
    assert after.held is not None
    assert (after.held.by, after.hold, after.unplaced) == (PROGRAM, "no permission", "")
    assert (is_placed(after), after.holds[1].released_by) == (False, ANN)


# ---- what is looked for ---------------------------------------------------------------------


def looked(consul: FakeConsul, *, ours: bool = False) -> StatePlace | str:
    async def has_state(_: str) -> bool:
        return ours

    made = Generation(1, 1, {}, {}, former_state=PATH)
    return asyncio.run(former_state.look(consul, made, ["web"], has_state))["web"]


def test_nothing_is_there() -> None:
    assert looked(FakeConsul()) is StatePlace.STACK


@pytest.mark.parametrize(("ours", "found"), [(False, StatePlace.CONSUL), (True, StatePlace.STACK)])
def test_a_state_of_cts_is_there(ours: bool, found: StatePlace) -> None:
    consul = FakeConsul()
    consul.kv[KEY] = 11, "{}"
    assert looked(consul, ours=ours) is found


@pytest.mark.parametrize(
    "error", [Refused("HTTP 403: Permission denied"), Unavailable("HTTP 500: No cluster leader")]
)
def test_it_can_not_be_read(error: Exception) -> None:
    consul = FakeConsul()
    consul.down = error
    why = looked(consul)
    assert isinstance(why, str)
    assert str(error) in why
    assert 'key_prefix "consul-terraform-sync/" { policy = "read" }' in why


def test_consul_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former_state, "WITHIN", 0.01)
    consul = FakeConsul()
    consul.silent = True
    assert "no answer in time" in looked(consul)


# ---- which tasks may have one ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("", PATH),
        ('consul { kv_path = "cts/" }', "cts/terraform"),
        ('driver "terraform" { log = true }', PATH),
        ('driver "terraform" { backend "consul" { path = "x" } }', ""),
        ('driver "terraform" { backend "local" {} }', ""),
        ('driver "terraform-cloud" { organization = "acme" }', PATH),
        ('driver "terraform" { backend "s3" { bucket = "b" key = "k" region = "r" } }', ""),
    ],
)
def test_states_are_looked_for_where_cts_keeps_them_by_default(more: str, path: str) -> None:
    result = compile_bundle({"a.hcl": (TASK + more).encode()})
    assert result.compiled is not None, result.problems
    made = generation(result.compiled, 1, {"config/bundle.zip": "v"}, former="f")
    assert made.former_state == path
    assert made.state_in_consul("web") == (f"{path}-env:web" if path else "")
    assert Generation.from_json(made.to_json()) == made
    assert json.loads(made.to_json()).keys() <= {
        "number",
        "contract",
        "sources",
        "tasks",
        "waiting",
    }  # the first release takes no other


# ---- what its run does ----------------------------------------------------------------------


def test_a_task_does_not_run_before_its_place_is_known() -> None:
    world = system()
    world.former_state = PATH
    world.publish()
    world.ask("web")
    assert world.start("web") is StartOutcome.NOT_PLACED
    world.put(place(world.table.state("web"), StatePlace.STACK, PATH, world.clock()))
    assert world.start("web") is StartOutcome.STARTED


@pytest.mark.parametrize("found", StatePlace)
def test_a_run_works_with_the_state_at_its_place(found: StatePlace) -> None:
    world = system()
    world.former_state = PATH
    world.publish()
    world.put(place(world.table.state("web"), found, PATH, world.clock()))
    world.former_state = "elsewhere/terraform"  # of a later configuration
    world.publish()
    started = world.started()
    archive = world.bucket.run_object("web", started.id, "archive.zip")
    with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
        main, facts = made.read("main.tf").decode(), json.loads(made.read("run.json"))
    in_consul = found is StatePlace.CONSUL
    assert facts["consul_backend"] is in_consul
    assert (f'path    = "{PATH}"' in main, 'backend "s3"' in main) == (in_consul, not in_consul)
    assert started.secrets == (("connection-secret",) if in_consul else ())


# ---- when it is looked for ------------------------------------------------------------------


@pytest.mark.parametrize("work", [live, once])
def test_a_new_task_is_placed_before_it_runs(work: Callable[..., Any]) -> None:
    world = World(one=ONE, both=BOTH)
    assert world.generation is not None
    world.generation = replace(world.generation, former_state="cts/terraform")
    world.consul.kv["cts/terraform-env:both"] = 11, "{}"
    world.consul.errors[View(consul_kv.KEY, "cts/terraform-env:one")] = Refused("HTTP 403")

    async def happen() -> None:
        await world.consul.set("web", [instance("web")])
        await world.consul.set("api", [instance("api")])
        await work(world.poller())
        one, both = world.table.state("one"), world.table.state("both")
        assert (both.place, both.path, both.hold) == ("consul", "cts/terraform", None)
        assert (one.place, one.held and one.held.by) == ("", "cts")
        assert "HTTP 403" in (one.hold or "")
        world.consul.errors.clear()
        await work(world.poller())

    run(world.loop, happen())
    one = world.table.state("one")
    assert (one.place, one.hold) == ("stack", None)


def test_a_place_that_can_not_be_told_is_looked_for_again_by_the_same_poller() -> None:
    world = World(one=ONE)
    assert world.generation is not None
    world.generation = replace(world.generation, former_state="cts/terraform")
    world.consul.kv["cts/terraform-env:one"] = 11, "{}"
    world.consul.errors[View(consul_kv.KEY, "cts/terraform-env:one")] = Refused("HTTP 403")
    holds: list[str | None] = []

    async def happen() -> None:
        await world.consul.set("web", [instance("web")])
        await asyncio.sleep(5)
        holds.append(world.table.state("one").hold)
        world.consul.errors.clear()
        await asyncio.sleep(PLACES_EVERY)
        holds.append(world.table.state("one").hold)

    world.during(happen, stays=100)
    assert ("HTTP 403" in (holds[0] or ""), holds[1]) == (True, None)
    assert (world.table.state("one").place, world.triggered) == ("consul", ["one"])


def test_tasks_that_have_run_are_not_looked_for() -> None:
    world = World(one=ONE)
    assert world.generation is not None
    world.generation = replace(world.generation, former_state="cts/terraform")
    world.table.stored_states["one"] = TaskState("one", version=1, done=Done("one-1", "t", "t"))

    async def happen() -> None:
        await world.consul.set("web", [instance("web")])
        await once(world.poller())

    run(world.loop, happen())
    assert not {view for view in world.consul.views if view.kind == consul_kv.KEY}
    assert world.table.state("one").place == ""


def test_a_task_whose_driver_changes_is_held_and_released_when_it_is_back() -> None:
    world = World(one=ONE)
    assert world.generation is not None
    former = world.generation
    moved = {"one": replace(ONE, driver="terraform-cloud", workspace="acme/one")}
    world.table.stored_states["one"] = TaskState("one", version=1, home="terraform")

    async def happen() -> None:
        await world.consul.set("web", [instance("web")])
        world.generation = replace(former, tasks=moved)
        await once(world.poller())
        held = world.table.state("one")
        assert (held.held and held.held.by, held.held and held.held.home) == ("cts", "acme/one")
        world.generation = former
        await once(world.poller())

    run(world.loop, happen())
    assert world.table.state("one").hold is None
