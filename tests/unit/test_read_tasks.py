"""The reader: tasks as CTS's API describes them, and its health."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cts.generation import Generation
from cts.run.state import TaskState
from functions.reader import app
from tests.unit.reader_fakes import World, call, get, published

TASKS = [{"name": "web", "module": "./m"}, {"name": "dns", "module": "./m"}]
ID = {"request_id": "r-1"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(app, "ports", lambda: made.ports)
    return made


def publish(world: World, shown: str) -> None:
    current = published()
    made = Generation(current.number, 1, current.sources, world.tasks, shown=shown)
    world.table.live = replace(current, digest=world.bucket.put_generation(made))


def refused(path: str, method: str = "GET") -> tuple[int, Any]:
    code, _, body = call(path, method)
    return code, json.loads(body)


def test_before_the_first_push_there_are_none(world: World) -> None:
    assert get("/v1/tasks") == {"tasks": [], **ID}


def test_tasks_are_in_the_order_of_the_configuration(world: World) -> None:
    publish(world, world.bucket.put_shown(TASKS))
    assert get("/v1/tasks") == {"tasks": TASKS, **ID}
    assert get("/v1/tasks/dns") == {"task": TASKS[1], **ID}


@pytest.mark.parametrize(
    "path", ["/v1/tasks/db", "/v1/tasks/a%2Fb", "/v1/tasks/web%20", '/v1/tasks/w"b\u0001']
)
def test_an_unknown_task(world: World, path: str) -> None:
    publish(world, world.bucket.put_shown(TASKS))
    code, found = refused(path)
    assert (code, found["request_id"]) == (404, "r-1")
    assert "does not exist" in found["error"]["message"]


def test_an_upgrade_publishes_them_in_a_moment(world: World) -> None:
    publish(world, "")
    assert refused("/v1/tasks")[0] == 503


def test_a_draft_is_no_task(world: World) -> None:
    world.add(TaskState("web"))
    world.add(TaskState("draft"))
    world.tasks["draft"] = replace(world.tasks["draft"], draft=True)
    publish(world, world.bucket.put_shown(TASKS))
    assert [*get("/v1/status/tasks")] == ["web"]
    assert [*get("/v1/configuration")["live"]["tasks"]] == ["web"]
    assert call("/v1/status/tasks/draft")[0] == 404
    assert get("/v1/status")["task_summary"]["enabled"] == {"true": 1, "false": 0}


def test_it_is_healthy_if_it_answers(world: World) -> None:
    assert get("/v1/health") == {}


def test_there_is_no_cluster(world: World) -> None:
    what = "this endpoint is only available with high availability configured"
    assert refused("/v1/status/cluster") == (405, {"error": {"message": what}, **ID})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/status/tasks/\u20ac\u0001", "a task with name '\u20ac\u0001' does not exist"),
        ("/v1/runs/\u0001", "a run with id '\u0001' does not exist"),
        ("/v1/runs/\u0001/log", "a run with id '\u0001' does not exist"),
    ],
)
def test_a_name_of_unusual_characters_is_unknown(world: World, path: str, said: str) -> None:
    code, found = refused(path)
    assert (code, said in found["error"]["message"]) == (404, True)


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("POST", "/v1/tasks", "GET"),
        ("GET", "/v1/tasks/", "PATCH"),
        ("GET", "/v1/tasks/a/b", "PATCH"),
        ("HEAD", "/v1/health", "GET"),
    ],
)
def test_what_it_does_not_serve(world: World, method: str, path: str, known: str) -> None:
    code, found = refused(path, method)
    told = found["error"]["message"]
    assert (code, told.startswith(f"'{method}' in an unsupported method")) == (405, True)
    assert told.endswith(f"'{known}'")
