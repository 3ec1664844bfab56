"""Tasks that are deleted with all that their runs have created."""

from __future__ import annotations

import io
import json
import zipfile
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from cts.run.person import hold
from cts.run.state import Reason
from cts.workflow.leaving import see_off
from tests.fakes import before_next
from tests.unit.api_fakes import ANN, BOB, event, invoke
from tests.unit.test_edit import NEW, PLAN, PUSHED, World, ask, create, error, pushed, served
from tests.unit.test_edit_at_once import meanwhile

if TYPE_CHECKING:
    from cts.run.model import Run

FAILED = {"status": "errored", "error": "Error: in use", "step": "apply", "retryable": False}
URL = "/v1/tasks/{}?destroy=true"
ASYNC = {"prefer": "respond-async"}
NAMES = pytest.mark.parametrize("name", ["edge", "pushed"])


@pytest.fixture(scope="module")
def created() -> World:
    with pytest.MonkeyPatch.context() as patch:
        made = pushed(patch)
        assert create()[0] == 201
    return made


@pytest.fixture
def world(created: World, monkeypatch: pytest.MonkeyPatch) -> World:
    return served(deepcopy(created), monkeypatch)


def destroy(name: str = "edge", by: str = ANN, **headers: str) -> Any:
    return ask("DELETE", URL.format(name), None, by, **headers)


def entry(world: World, name: str = "edge") -> Any:
    live = world.system.table.live
    assert live
    return world.system.bucket.generation(live).tasks[name]


def facts(world: World, run: Run) -> Any:
    archive = world.system.bucket.run_object(run.task, run.id, "archive.zip")
    with zipfile.ZipFile(io.BytesIO(archive or b"")) as made:
        return json.loads(made.read("run.json"))


def see(world: World) -> None:
    see_off(world.publisher.ports, 60.0)


@NAMES
def test_a_run_destroys_and_then_the_task_is_gone(world: World, name: str) -> None:
    world.result = {"status": "applied", "counts": {"add": 0, "change": 0, "destroy": 3}}
    code, found = destroy(name)
    assert (code, found["run"]["counts"]["destroy"], found["request_id"]) == (200, 3, "r-1")
    [run] = world.system.table.runs(name, 9)
    assert (run.why, run.by, run.request) == (("destroy",), ANN, "r-1")
    assert (facts(world, run)["destroy"], facts(world, run)["inspect"]) == (True, False)
    assert name not in world.tasks
    assert error(destroy(name))[0] == 404
    assert create({**NEW, "name": name})[0] == 201
    assert (entry(world, name).leaving, entry(world, name).enabled) == ("", True)


@NAMES
def test_until_then_it_is_there_and_disabled(world: World, name: str) -> None:
    code, found = destroy(name, **ASYNC)
    assert (code, found["asked"]["reason"], found["asked"]["id"]) == (202, "destroy", "r-1")
    assert (entry(world, name).enabled, entry(world, name).leaving) == (False, "r-1")
    assert world.object(name)["enabled"] is False
    assert error(ask("POST", f"/v1/tasks/{name}/run")) == (
        409,
        f"task '{name}' is being destroyed: enable it first, which ends that",
    )
    assert error(create({**NEW, "name": name}))[0] == 400
    assert world.system.start(name) == "started"


def test_it_is_triggered_and_its_end_deletes_it_without_a_request(world: World) -> None:
    destroy(**ASYNC)
    assert world.system.triggered[-1:] == ["edge"]
    world.passes(1)
    assert "edge" in world.tasks
    see(world)
    assert world.tasks == ["pushed"]
    see(world)


def test_what_the_publisher_left_undone_its_next_tick_does(world: World) -> None:
    before = dict(world.system.table.stored_states)
    destroy(**ASYNC)
    world.system.table.stored_states = before  # it died before it could ask for the run
    see(world)
    assert Reason.DESTROY in world.system.table.state("edge").wanted
    once = world.system.table.state("edge")
    see(world)
    assert world.system.table.state("edge") == once


def test_a_run_that_fails_leaves_the_task_with_its_error(world: World) -> None:
    world.result = FAILED
    assert error(destroy()) == (500, "error tf-apply for 'edge': Error: in use")
    assert entry(world).leaving == "r-1"
    see(world)
    state = world.system.table.state("edge")
    assert (state.gave_up is not None, state.wanted) == (True, {})
    world.result = {"status": "applied"}
    code, found = ask("POST", "/v1/tasks/edge/retry", None, BOB)
    assert (code, found["asked"]["reason"], found["asked"]["by"]) == (202, "destroy", BOB)
    world.passes(1)
    see(world)
    assert world.tasks == ["pushed"]


def test_asking_again_tries_again(world: World) -> None:
    world.result = FAILED
    destroy()
    world.result = {"status": "applied"}
    again = event(URL.format("edge"), "DELETE")
    again["requestContext"]["requestId"] = "r-2"
    assert invoke(again)[0] == 200
    assert world.tasks == ["pushed"]


CANCELS: list[tuple[str, Any]] = [
    ("PATCH", {"enabled": True}),
    ("PATCH", {"enabled": False}),
    ("PATCH", {"description": "stays"}),
    ("PUT", {"task": {**NEW, "description": "stays"}}),
]


@pytest.mark.parametrize(("method", "body"), CANCELS)
@NAMES
def test_any_change_keeps_the_task(world: World, name: str, method: str, body: Any) -> None:
    destroy(name, **ASYNC)
    if "task" in body:
        body = {"task": {**body["task"], "name": name}}
    assert ask(method, f"/v1/tasks/{name}", body, BOB)[0] == 200
    is_enabled = body.get("enabled", True)
    assert (entry(world, name).leaving, entry(world, name).enabled) == ("", is_enabled)
    assert world.system.start(name) != "started" or not is_destroying(world, name)
    see(world)
    assert Reason.DESTROY not in world.system.table.state(name).wanted
    assert name in world.tasks


def is_destroying(world: World, name: str) -> bool:
    return "destroy" in world.system.running(name).why


@pytest.mark.parametrize("when", ["running", "destroyed"])
def test_who_keeps_it_too_late_keeps_a_task_that_creates_everything_again(
    world: World, when: str
) -> None:
    destroy(**ASYNC)
    world.system.start("edge")
    run = world.system.running("edge")
    if when == "destroyed":
        world.ends(run)
    assert ask("PATCH", "/v1/tasks/edge", {"enabled": True})[0] == 200
    if when == "running":
        world.ends(run)
    see(world)
    state = world.system.table.state("edge")
    assert (state.done, "edge" in world.tasks) == (None, True)


def test_a_push_that_changes_the_task_keeps_it(world: World) -> None:
    destroy("pushed", **ASYNC)
    world.push(PUSHED, "# a comment\n")
    assert entry(world, "pushed").leaving == "r-1"
    world.push(PUSHED.replace("as pushed", "changed"))
    assert (entry(world, "pushed").leaving, entry(world, "pushed").enabled) == ("", True)
    see(world)
    world.push(PUSHED)
    assert entry(world, "pushed").leaving == ""


def test_a_push_of_the_same_name_keeps_the_pushed_task(world: World) -> None:
    destroy(**ASYNC)
    world.push(PUSHED, PUSHED.replace('"pushed"', '"edge"'))
    assert (entry(world).leaving, entry(world).enabled) == ("", True)
    see(world)
    assert world.system.start("edge") != "started"


def test_a_pushed_task_that_was_disabled_by_hand_is_so_again(world: World) -> None:
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False})
    destroy("pushed", **ASYNC)
    ask("PATCH", "/v1/tasks/pushed", {"description": "stays"})
    assert (entry(world, "pushed").leaving, entry(world, "pushed").enabled) == ("", False)


def test_a_task_that_left_comes_back_when_a_push_changes_it(world: World) -> None:
    """As one that was deleted without more."""
    assert destroy("pushed")[0] == 200
    world.push(PUSHED, "# a comment\n")
    assert world.tasks == ["edge"]
    world.push(PUSHED.replace("as pushed", "changed"))
    assert world.tasks == ["edge", "pushed"]


def test_deleting_it_without_more_ends_it(world: World) -> None:
    destroy(**ASYNC)
    assert ask("DELETE", "/v1/tasks/edge")[0] == 202
    assert world.tasks == ["pushed"]
    assert create()[0] == 201
    see(world)
    assert world.system.start("edge") != "started"


def test_a_first_run_that_fails_drops_no_task_that_is_being_destroyed(world: World) -> None:
    world.result = {**FAILED, "retryable": True}
    made = {**NEW, "name": "new"}
    meanwhile(world, lambda: destroy("new", BOB, **ASYNC))
    assert create(made, "?run=now")[0] == 500
    assert entry(world, "new").leaving == "r-1"


def test_a_held_task_is_refused(world: World) -> None:
    world.system.put(hold(world.system.table.state("edge"), "why", BOB, 1.0))
    code, told = error(destroy())
    assert (code, told) == (409, "task 'edge' is held, so release it first: why")
    assert entry(world).leaving == ""


@pytest.mark.parametrize("query", ["perhaps", "", "true&destroy=true"])
def test_destroy_is_true_or_false(world: World, query: str) -> None:
    assert error(ask("DELETE", f"/v1/tasks/edge?destroy={query}")) == (
        400,
        "destroy must be true or false, and given once",
    )
    assert "edge" in world.tasks


def test_without_it_nothing_is_destroyed(world: World) -> None:
    assert ask("DELETE", "/v1/tasks/edge?destroy=false")[0] == 202
    assert world.tasks == ["pushed"]
    assert world.system.table.runs("edge", 9) == []


def test_what_would_be_destroyed_is_planned_and_nothing_changes(world: World) -> None:
    world.result = {"status": "planned", "counts": {"add": 0, "change": 0, "destroy": 1}}
    code, found = ask("DELETE", "/v1/tasks/edge?destroy=true&run=inspect")
    assert (code, found) == (200, {"inspect": {"plan": PLAN, "changes_present": True}})
    [run] = world.system.table.runs("edge", 9)
    assert run.why == ("inspect_destroy",)
    assert (facts(world, run)["destroy"], facts(world, run)["inspect"]) == (True, True)
    assert (entry(world).leaving, entry(world).enabled) == ("", True)


def test_a_plan_of_what_would_be_destroyed_that_fails_is_told(world: World) -> None:
    world.result = {"status": "errored", "error": "Error: no module", "step": "init"}
    told = "Error deleting task 'edge'. Unable to inspect task: "
    assert error(ask("DELETE", "/v1/tasks/edge?destroy=true&run=inspect")) == (
        500,
        f"{told}error tf-init for 'edge': Error: no module",
    )
    assert error(ask("DELETE", "/v1/tasks/edge?destroy=true&run=x"))[0] == 400


def test_a_change_that_comes_first_is_not_lost(world: World) -> None:
    """Nobody's task is deleted who has changed it at the last moment."""
    destroy(**ASYNC)
    world.passes(1)
    before_next(
        world.publisher.ports.api_tasks,
        "delete",
        lambda: ask("PATCH", "/v1/tasks/edge", {"enabled": True}, BOB),
    )
    see(world)
    assert (entry(world).leaving, entry(world).enabled) == ("", True)
