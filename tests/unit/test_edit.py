"""The API that creates, changes and deletes tasks, on a publisher, a runner and a tracker in
memory."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from cts import keys
from cts.config.api_tasks import ApiTask
from cts.errors import Unavailable
from cts.events import ConfigPublished
from cts.workflow.press import press
from cts.workflow.publish import publish
from functions.api import app
from tests.fakes import before_next, failing
from tests.unit.api_fakes import ANN, BOB, event, invoke, ports_of
from tests.unit.publisher import zipped
from tests.unit.system import System, system

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cts.run.model import Run
    from cts.workflow.edit_steps import EditPorts

SERVICES = {"services": {"names": ["web"]}}
NEW = {"name": "edge", "module": "acme/edge/acmefw", "condition": SERVICES}
HERE = 'driver "terraform" {\n  backend "local" {}\n}\n'
"""CTS can't have left a state."""
PUSHED = """
task {
  name        = "pushed"
  module      = "acme/edge/acmefw"
  description = "as pushed"
  condition "services" {
    names = ["web"]
  }
}
"""
UNKNOWN = "a task with name 'none' does not exist or has not been initialized yet"
PLAN = "Terraform will perform the following actions:\n\nPlan: 1 to add, 0 to change, 0 to destroy."
LOG = f"[2026-01-01T00:00:00Z] terraform plan -no-color\n\n{PLAN}\n\n[2026-01-01T00:00:01Z] done\n"


class World:
    """A system whose configuration is the publisher's, and whose builds end while one waits."""

    def __init__(self) -> None:
        self.system = system()
        self.system.table.live = None
        self.result: Mapping[str, Any] = {"status": "applied"}
        self.ports: EditPorts = ports_of(self.system, self.passes)
        self.publisher: Any = self.ports.publisher
        self.writes_log = True
        self.push(PUSHED)

    def push(self, *tasks: str, **modules: str) -> None:
        files = {f"modules/{name}/main.tf": text for name, text in modules.items()}
        files["config.hcl"] = "".join((HERE, *tasks))
        self.system.bucket.write(keys.BUNDLE, zipped(files))
        self.publish()

    def publish(self) -> str:
        return publish(self.publisher.ports, 60.0).outcome.name

    def passes(self, seconds: float) -> None:
        """What is due runs, and its build ends."""
        self.system.clock.now += seconds
        for task in self.tasks:
            if self.system.start(task) == "started":
                self.ends(self.system.running(task))

    def ends(self, run: Run) -> None:
        self.system.begins(run)
        self.system.bucket.write(keys.run_object(run.task, run.id, "log"), LOG.encode())
        self.system.result(run, **self.result)
        good = self.result["status"] != "errored"
        self.system.ends(run, "SUCCEEDED" if good else "FAILED")

    @property
    def told_by(self) -> list[list[str]]:
        """Whom the events about configurations name."""
        return [each.by for each in self.system.bus.of(ConfigPublished)]

    @property
    def tasks(self) -> list[str]:
        live = self.system.table.live
        return sorted(self.system.bucket.generation(live).tasks) if live else []

    @property
    def shown(self) -> list[Any]:
        live = self.system.table.live
        assert live
        return self.system.bucket.shown(self.system.bucket.generation(live).shown)

    @property
    def changes(self) -> list[Any]:
        """What people have made of tasks, as the reader tells."""
        live = self.system.table.live
        assert live
        digest = self.system.bucket.generation(live).changes
        return self.system.bucket.shown(digest) if digest else []

    def object(self, name: str) -> Any:
        return next((each for each in self.shown if each["name"] == name), None)


@cache
def _pushed() -> World:
    return World()


def pushed(monkeypatch: pytest.MonkeyPatch) -> World:
    """With its first push, whose API is asked."""
    return served(deepcopy(_pushed()), monkeypatch)


def served(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(app, "ports", lambda: world.ports)
    return world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return pushed(monkeypatch)


def ask(method: str, url: str, body: object = None, by: str = ANN, **headers: str) -> Any:
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    return invoke(event(url, method, text, by, **headers))


def create(task: object = NEW, query: str = "", **headers: str) -> Any:
    return ask("POST", f"/v1/tasks{query}", {"task": task}, **headers)


def error(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["message"]


# ---- POST ---------------------------------------------------------------------------------


def test_a_created_task_is_configured_and_answered_with_every_default(world: World) -> None:
    code, found = create()
    assert (code, found["request_id"]) == (201, "r-1")
    assert found["task"] == {
        "name": "edge",
        "module": "acme/edge/acmefw",
        "condition": {
            "services": {
                "names": ["web"],
                "datacenter": "",
                "namespace": "",
                "filter": "",
                "cts_user_defined_meta": {},
                "use_as_module_input": True,
            }
        },
        "description": "",
        "enabled": True,
        "providers": [],
        "version": "",
        "variables": {},
        "module_input": {},
    }
    assert world.tasks == ["edge", "pushed"]
    assert [each["name"] for each in world.shown] == ["pushed", "edge"]
    live = world.system.table.live
    assert live
    tasks = world.system.bucket.generation(live).tasks
    assert (tasks["edge"].created, tasks["pushed"].created) == (True, False)


def test_before_the_first_push_a_task_can_be_created_and_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = pushed(monkeypatch)
    world.system.bucket.objects.clear()
    world.system.table.live = None
    assert create()[0] == 201
    assert world.tasks == ["edge"]
    assert ask("DELETE", "/v1/tasks/edge")[0] == 202
    assert world.tasks == []


@pytest.mark.parametrize("name", ["edge", "pushed"])
def test_a_name_is_taken_once_and_before_all_other_checks(world: World, name: str) -> None:
    create()
    bad = {**NEW, "name": name, "condition": {"schedule": {"cron": "x"}}}
    assert error(create(bad)) == (400, f"task with name {name} already exists")


@pytest.mark.parametrize(
    ("task", "what"),
    [
        ({**NEW, "name": "x y"}, "not a valid task name"),
        ({**NEW, "condition": {"services": {}}}, "neither names nor regexp is set"),
        ({**NEW, "condition": {"schedule": {"cron": "x"}}}, "cron"),
        ({**NEW, "module": "./not-there"}, "not-there"),
        ({**NEW, "variables": {"a": "each."}}, "variables.a"),
    ],
)
def test_what_is_wrong_with_a_task_is_told_and_nothing_is_created(
    world: World, task: Any, what: str
) -> None:
    for query, expected in (("", 500), ("?run=now", 500), ("?run=inspect", 400)):
        code, told = error(create(task, query))
        assert (code, what in told, "config.hcl" in told) == (expected, True, False), told
    assert world.tasks == ["pushed"]
    assert world.publisher.ports.api_tasks.all() == {}


def test_run_now_answers_when_the_task_was_applied(world: World) -> None:
    code, found = create(query="?run=now")
    assert (code, found["task"]["name"]) == (201, "edge")
    [run] = world.system.table.runs("edge", 9)
    assert (run.by, run.request, run.status.value) == (ANN, "r-1", "applied")


def test_run_now_that_fails_creates_nothing(world: World) -> None:
    world.result = {"status": "errored", "error": "Error: no route", "step": "apply"}
    assert error(create(query="?run=now")) == (500, "error tf-apply for 'edge': Error: no route")
    assert world.tasks == ["pushed"]


def test_a_disabled_task_is_created_without_a_run(world: World) -> None:
    code, found = create({**NEW, "enabled": False}, "?run=now")
    assert (code, found["task"]["enabled"]) == (201, False)
    assert world.system.table.runs("edge", 9) == []


def test_who_does_not_wait_gets_the_id_of_the_run_to_come(world: World) -> None:
    code, found = create(query="?run=now", prefer="respond-async")
    assert (code, found["asked"]["id"], found["task"]["name"]) == (202, "r-1", "edge")
    world.passes(1)
    assert [run.request for run in world.system.table.runs("edge", 9)] == ["r-1"]


def test_an_inspected_task_is_planned_and_forgotten(world: World) -> None:
    world.result = {"status": "planned", "counts": {"add": 1, "change": 0, "destroy": 0}}
    code, found = create(query="?run=inspect")
    assert (code, found["run"]) == (200, {"plan": PLAN, "changes_present": True})
    assert found["task"]["name"] == "edge"
    assert world.tasks == ["pushed"]
    assert world.publisher.ports.api_tasks.all() == {}


def test_a_draft_is_nobodys_task_and_expires(world: World) -> None:
    code, _ = create(query="?run=inspect", prefer="respond-async")
    assert (code, world.tasks, len(world.shown)) == (202, ["edge", "pushed"], 1)
    assert world.changes == []
    assert error(ask("PATCH", "/v1/tasks/edge", {"enabled": False}))[0] == 404
    assert error(ask("POST", "/v1/tasks/edge/run"))[0] == 409
    world.system.clock.now += 3600
    world.publish()
    assert world.tasks == ["pushed"]


def test_a_task_counts_as_added_once_it_is_more_than_a_draft(world: World) -> None:
    create(query="?run=inspect", prefer="respond-async")
    create()
    ask("DELETE", "/v1/tasks/edge")
    told = world.system.bus.of(ConfigPublished)
    assert [(each.added, each.removed) for each in told] == [
        (["pushed"], []),
        ([], []),
        (["edge"], []),
        ([], ["edge"]),
    ]


def test_a_draft_is_created_once_it_was_looked_at(world: World) -> None:
    create(query="?run=inspect", prefer="respond-async")
    assert create(query="?run=now")[0] == 201
    assert [each["name"] for each in world.shown] == ["pushed", "edge"]


def test_a_plan_that_fails_is_told(world: World) -> None:
    world.result = {"status": "errored", "error": "Error: no module", "step": "init"}
    assert error(create(query="?run=inspect")) == (
        400,
        "error tf-init for 'edge': Error: no module",
    )
    assert world.tasks == ["pushed"]


def test_a_disabled_task_is_not_planned(world: World) -> None:
    code, found = create({**NEW, "enabled": False}, "?run=inspect")
    skipped = "Task is disabled, inspection was skipped."
    assert (code, found["run"]) == (200, {"plan": skipped, "changes_present": False})


def test_a_run_that_takes_too_long_goes_on(world: World) -> None:
    world.ports = ports = replace(world.ports, sleep=lambda _: tick(world.system))
    world.publisher = ports.publisher
    code, told = error(create(query="?run=now"))
    assert (code, "has not ended yet" in told) == (504, True)
    [run] = world.system.table.runs("edge", 9)
    assert run.id in told
    assert world.tasks == ["edge", "pushed"]


def tick(made: System) -> None:
    """Builds that never end."""
    made.clock.now += 60
    made.start("edge")


def test_a_run_that_has_not_begun_has_no_id(world: World) -> None:
    world.ports = replace(world.ports, sleep=lambda _: nothing_begins(world.system))
    assert "has not begun yet" in error(create(query="?run=now"))[1]


def nothing_begins(made: System) -> None:
    made.clock.now += 60


NOT_ALLOWED = 'value is not one of the allowed values ["now","inspect"]'
OF_RUN = 'parameter "run" in query has an error: '
TEXT = "value must be a string"
TWICE = "Invalid format for parameter run: multiple values for single value parameter 'run'"
AT = "request body has an error: doesn't match schema #/components/schemas/TaskRequest: Error at"


@pytest.mark.parametrize(
    ("body", "query", "what"),
    [
        ("", "", "request body has an error: value is required but missing"),
        ("{", "", "request body has an error: failed to decode request body: unexpected EOF"),
        ({"task": {**NEW, "module": 1}}, "", f'{AT} "/task/module": value must be a string'),
        ({"task": {**NEW, "providers": [1]}}, "", f'{AT} "/task/providers/0": {TEXT}'),
        ({"task": {**NEW, "name": None}}, "", f'{AT} "/task/name": Value is not nullable'),
        ({"task": {**NEW, "x": 1}}, "", f'{AT} "/task": property "x" is unsupported'),
        ({"task": {"name": "a"}}, "", f'{AT} "/task/module": property "module" is missing'),
        ({}, "", f'{AT} "/task": property "task" is missing'),
        ("[]", "", f"{AT.removesuffix(': Error at')}: value must be an object"),
        ({"task": NEW}, "?run=later", OF_RUN + NOT_ALLOWED),
        ({"task": NEW}, "?run=", OF_RUN + "empty value is not allowed"),
        ({"task": NEW}, "?run=now&run=now", TWICE),
    ],
)  # fmt: skip
def test_a_violation_is_told_in_the_words_of_cts(
    world: World, body: object, query: str, what: str
) -> None:
    assert error(ask("POST", f"/v1/tasks{query}", body)) == (400, what)
    assert world.publisher.asked == []


def test_a_body_is_json(world: World) -> None:
    answer = ask("POST", "/v1/tasks", {"task": NEW}, **{"content-type": "text/plain"})
    assert error(answer) == (400, 'header Content-Type has unexpected value "text/plain"')


# ---- PATCH --------------------------------------------------------------------------------

AN_ARRAY = "json: cannot unmarshal array into Go value of type map[string]interface {}"
MISSING = (
    "/v1/tasks/:task_name currently only supports the 'enabled' field. "
    "Missing 'enabled' from the request body"
)
NO_FLAG = (
    "1 error(s) decoding:\n\n* cannot parse 'enabled' as bool: "
    'strconv.ParseBool: parsing "yes": invalid syntax'
)
NO_RUN = "unsupported run parameter value. only supporting run values now and inspect but got x"
NO_NAME = (
    "no task name was included in the api request. Updating a task requires the task name: "
    "'/v1/tasks/:task_name'"
)


@pytest.mark.parametrize("value", [False, 0, "false", "F", "", "0"])
def test_a_task_is_disabled_until_it_is_enabled(world: World, value: object) -> None:
    assert ask("PATCH", "/v1/tasks/pushed", {"enabled": value}) == (200, {})
    assert world.object("pushed")["enabled"] is False
    assert ask("PATCH", "/v1/tasks/pushed", {"ENABLED": True}) == (200, {})
    assert world.object("pushed")["enabled"] is True
    assert world.publisher.ports.api_tasks.all() == {}


def test_enable_and_run_now(world: World) -> None:
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False})
    assert ask("PATCH", "/v1/tasks/pushed?run=NOW", {"enabled": True}) == (200, {})
    assert [run.status.value for run in world.system.table.runs("pushed", 9)] == ["applied"]


def test_a_run_of_an_enabled_task_that_fails_is_told(world: World) -> None:
    world.result = {"status": "errored", "error": "Error: no", "step": "plan"}
    answer = ask("PATCH", "/v1/tasks/pushed?run=now", {"enabled": True}, BOB)
    assert error(answer) == (500, "error tf-plan for 'pushed': Error: no")


def test_disable_and_run_now_runs_nothing(world: World) -> None:
    assert ask("PATCH", "/v1/tasks/pushed?run=now", {"enabled": False}) == (200, {})
    assert world.system.table.runs("pushed", 9) == []


def test_a_disabled_task_is_inspected_and_stays_disabled(world: World) -> None:
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False})
    world.result = {"status": "planned", "counts": {"add": 0, "change": 0, "destroy": 0}}
    code, found = ask("PATCH", "/v1/tasks/pushed?run=inspect", {"enabled": True})
    assert (code, found) == (200, {"inspect": {"plan": PLAN, "changes_present": False}})
    assert world.object("pushed")["enabled"] is False
    assert ask("PATCH", "/v1/tasks/pushed?run=inspect", {"enabled": False}) == (
        200,
        {"inspect": {"changes_present": False, "plan": ""}},
    )


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("pushed", "", "unexpected end of JSON input"),
        ("pushed", '{"enabled": true} x', "invalid character 'x' after top-level value"),
        ("pushed", "[]", AN_ARRAY),
        ("pushed", {"b": 1, "a": 1}, "request body's JSON contains unsupported keys: a, b"),
        ("pushed", "null", MISSING),
        ("pushed", {"enabled": "yes"}, NO_FLAG),
        ("pushed?run=x", {"enabled": True}, NO_RUN),
        ("a%2Fb", {"enabled": True}, NO_NAME),
        ("pushed", {"module": 1}, f'{AT} "/module": value must be a string'),
    ],
)  # fmt: skip
def test_a_patch_that_is_not_understood(world: World, path: str, body: object, what: str) -> None:
    assert error(ask("PATCH", f"/v1/tasks/{path}", body)) == (400, what)
    assert world.publisher.asked == []


def test_any_field_can_be_set(world: World) -> None:
    create()
    for name in ("edge", "pushed"):
        set_ = {"description": "by hand", "buffer_period": {"min": "90s"}}
        code, found = ask("PATCH", f"/v1/tasks/{name}", set_)
        assert (code, found["task"]) == (200, world.object(name))
        assert found["task"]["description"] == "by hand"
        assert found["task"]["buffer_period"] == {"min": "1m30s", "max": "0s"}
        assert found["task"]["module"] == NEW["module"]


def test_a_dry_run_says_what_would_be_and_changes_nothing(world: World) -> None:
    code, found = ask("PATCH", "/v1/tasks/pushed?dry_run=true", {"version": "2.0"})
    assert (code, found["before"]["version"], found["task"]["version"]) == (200, "", "2.0")
    assert world.object("pushed")["version"] == ""
    bad = ask("PATCH", "/v1/tasks/pushed?dry_run=true", {"condition": {"services": {}}})
    assert error(bad)[0] == 500
    assert error(ask("PATCH", "/v1/tasks/pushed?dry_run=1", {"version": "2.0"}))[0] == 400


# ---- PUT ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["edge", "pushed"])
def test_a_task_is_replaced_as_a_whole(world: World, name: str) -> None:
    create({**NEW, "description": "first"})
    new = {**NEW, "name": name, "module": "acme/other/acmefw"}
    code, found = ask("PUT", f"/v1/tasks/{name}", {"task": new})
    assert (code, found["task"]) == (200, world.object(name))
    assert (found["task"]["module"], found["task"]["description"]) == ("acme/other/acmefw", "")


def test_a_name_cannot_be_changed(world: World) -> None:
    assert error(ask("PUT", "/v1/tasks/pushed", {"task": NEW}))[0] == 400
    assert error(ask("PUT", "/v1/tasks/pushed?run=inspect", {"task": NEW}))[0] == 400


# ---- DELETE -------------------------------------------------------------------------------


def test_a_deleted_task_is_gone_and_its_name_free(world: World) -> None:
    create()
    for name in ("edge", "pushed"):
        assert ask("DELETE", f"/v1/tasks/{name}") == (202, {"request_id": "r-1"})
        assert error(ask("DELETE", f"/v1/tasks/{name}"))[0] == 404
    assert world.tasks == []
    for name in ("edge", "pushed"):
        assert create({**NEW, "name": name})[0] == 201
    assert world.tasks == ["edge", "pushed"]


def test_a_run_goes_on_when_its_task_is_deleted(world: World) -> None:
    create(query="?run=now", prefer="respond-async")
    world.system.clock.now += 1
    assert world.system.start("edge") == "started"
    run = world.system.running("edge")
    ask("DELETE", "/v1/tasks/edge")
    world.ends(run)
    assert world.system.table.stored_runs[run.id].status.value == "applied"
    assert world.system.start("edge") == "the configuration has no such task"


# ---- what survives ------------------------------------------------------------------------


def test_what_was_made_through_the_api_survives_pushes(world: World) -> None:
    create()
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False, "description": "by hand"})
    world.push(PUSHED.replace("as pushed", "as pushed again"), "# a comment\n")
    assert world.object("pushed")["enabled"] is True  # a push has changed a field
    assert world.tasks == ["edge", "pushed"]


def test_what_a_person_set_wins_until_a_push_changes_it(world: World) -> None:
    ask("PATCH", "/v1/tasks/pushed", {"enabled": False})
    world.push(PUSHED.replace("as pushed", "another description"))
    assert world.object("pushed")["enabled"] is False
    world.push(PUSHED.replace("module ", "enabled = false\n  module "))
    world.push(PUSHED)  # the option is changed back: what the person set is not in force again
    assert world.object("pushed")["enabled"] is True


def test_a_push_of_the_same_name_wins_and_gives_it_back(world: World) -> None:
    create({**NEW, "description": "created"})
    world.push(PUSHED, PUSHED.replace('"pushed"', '"edge"'))
    assert world.object("edge")["description"] == "as pushed"
    world.push(PUSHED)
    assert world.object("edge")["description"] == "created"


def test_a_deleted_task_comes_back_when_a_push_changes_it(world: World) -> None:
    ask("DELETE", "/v1/tasks/pushed")
    world.push(PUSHED, "# a comment\n")
    assert world.tasks == []
    world.push(PUSHED.replace("as pushed", "changed"))
    assert world.tasks == ["pushed"]
    world.push(PUSHED)
    assert world.tasks == ["pushed"]


def test_a_push_without_the_module_of_a_created_task_says_what_to_do(world: World) -> None:
    world.push(PUSHED.replace("acme/edge/acmefw", "./modules/m"), m='variable "services" {}')
    assert create({**NEW, "module": "./modules/m"})[0] == 201
    world.push(PUSHED.replace("as pushed", "without it"))
    rejected = world.system.table.rejected()
    assert rejected
    assert "name it in a pushed task" in rejected.problems[0]["fix"]


LOCAL = {**NEW, "module": "./modules/m"}


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [("DELETE", None, 202), ("PUT", {"task": NEW}, 200), ("PATCH", {"module": "a/b/c"}, 200)],
)
def test_a_push_that_a_created_task_kept_out_goes_live_once_it_does_no_more(
    world: World, method: str, body: Any, code: int
) -> None:
    world.push(PUSHED.replace("acme/edge/acmefw", "./modules/m"), m='variable "services" {}')
    create(LOCAL)
    world.push(PUSHED.replace("as pushed", "without it"))
    assert ask("PATCH", "/v1/tasks/pushed", {"version": "2.0", "module": "a/b/c"})[0] == 200
    found = world.object("pushed")
    assert (found["description"], found["version"]) == ("as pushed", "2.0")
    assert ask("PATCH", "/v1/tasks/edge", {"description": "still in the way"})[0] == 200
    assert world.object("pushed")["description"] == "as pushed"
    assert ask(method, "/v1/tasks/edge", body)[0] == code
    assert world.object("pushed")["description"] == "without it"


def test_a_rejected_push_does_not_stop_changes(world: World) -> None:
    world.push("task {")
    assert world.tasks == ["pushed"]
    assert ask("PATCH", "/v1/tasks/pushed", {"enabled": False}) == (200, {})
    assert world.object("pushed")["enabled"] is False
    assert world.publish() == "KNOWN"


@pytest.mark.parametrize("text", ["task {", PUSHED + PUSHED.replace('"pushed"', '"new"')])
def test_what_was_pushed_is_checked_before_a_change_is_made(world: World, text: str) -> None:
    """The publisher has not looked at it yet."""
    world.system.bucket.write(keys.BUNDLE, zipped({"config.hcl": HERE + text}))
    code, _ = ask("PATCH", "/v1/tasks/new", {"enabled": False})
    assert code == (404 if text == "task {" else 200)
    assert ask("PATCH", "/v1/tasks/pushed", {"enabled": False}) == (200, {})
    assert world.object("pushed")["enabled"] is False


# ---- at the same time ---------------------------------------------------------------------


def test_of_two_people_who_edit_one_task_both_are_heard(world: World) -> None:
    create()
    before_next(
        world.publisher.ports.api_tasks,
        "put",
        lambda: ask("PATCH", "/v1/tasks/edge", {"description": "first"}, BOB),
    )
    assert ask("PATCH", "/v1/tasks/edge", {"version": "2.0"})[0] == 200
    found = world.object("edge")
    assert (found["description"], found["version"]) == ("first", "2.0")


def test_of_two_people_who_create_one_task_the_second_is_told(world: World) -> None:
    before_next(world.publisher.ports.api_tasks, "put", create)
    assert error(create({**NEW, "description": "second"}))[0] == 400
    assert world.object("edge")["description"] == ""


@pytest.mark.parametrize("happens", ["deleted", "pushed"])
def test_a_change_meets_another(world: World, happens: str) -> None:
    create()
    others: dict[str, Callable[[], object]] = {
        "deleted": lambda: ask("DELETE", "/v1/tasks/edge", None, BOB),
        "pushed": lambda: world.push(PUSHED.replace("as pushed", "new")),
    }
    before_next(world.publisher.ports.api_tasks, "put", others[happens])
    code, _ = ask("PATCH", "/v1/tasks/edge", {"enabled": False})
    if happens == "deleted":
        assert (code, world.tasks) == (404, ["pushed"])
    else:
        assert (code, world.object("edge")["enabled"]) == (200, False)
        assert world.object("pushed")["description"] == "new"


def test_a_task_is_disabled_while_it_runs(world: World) -> None:
    create(query="?run=now", prefer="respond-async")
    world.system.start("edge")
    run = world.system.running("edge")
    assert ask("PATCH", "/v1/tasks/edge", {"enabled": False}) == (200, {})
    world.ends(run)
    assert world.system.table.stored_runs[run.id].status.value == "applied"
    assert world.system.start("edge") == "nothing is due"


# ---- who, and what is not told ------------------------------------------------------------

EACH = [
    ("POST", "/v1/tasks", {"task": NEW}),
    ("PATCH", "/v1/tasks/pushed", {"enabled": False}),
    ("PUT", "/v1/tasks/pushed", {"task": {**NEW, "name": "pushed"}}),
    ("DELETE", "/v1/tasks/pushed", None),
]


@pytest.mark.parametrize(("method", "path", "body"), EACH)
class TestEach:
    def test_who_asks_is_recorded(self, world: World, method: str, path: str, body: Any) -> None:
        assert ask(method, path, body, BOB)[0] < 300
        assert [each.by for each in world.publisher.asked] == [BOB]
        assert [each.task.by for each in world.publisher.ports.api_tasks.all().values()] == [BOB]
        assert world.told_by[-1] == [BOB]

    def test_a_push_names_nobody(self, world: World, method: str, path: str, body: Any) -> None:
        ask(method, path, body, BOB)
        world.push(PUSHED, PUSHED.replace("pushed", "other"))
        assert world.told_by[-1] == []

    def test_without_a_signature(self, world: World, method: str, path: str, body: Any) -> None:
        """As when the function is invoked directly."""
        code, told = error(ask(method, path, body, ""))
        assert (code, "does not say who makes it" in told) == (403, True)
        assert world.publisher.asked == []

    def test_aws_fails(self, world: World, method: str, path: str, body: Any) -> None:
        with failing(world.publisher, "change", Unavailable("later")):
            assert error(ask(method, path, body))[0] == 503

    def test_an_unknown_task(self, world: World, method: str, path: str, body: Any) -> None:
        if method == "POST":
            return
        body = {"task": {**NEW, "name": "none"}} if method == "PUT" else body
        assert error(ask(method, path.replace("pushed", "none"), body)) == (404, UNKNOWN)


def test_buttons_of_the_dashboard_disable_and_enable(world: World) -> None:
    for action, enabled in (("disable", False), ("enable", True)):
        answer = press(world.ports, {"task": "pushed", "action": action}, "r-1")
        assert answer == f"<p>Task pushed is {action}d.</p>"
        live = world.system.table.live
        assert live is not None
        assert world.system.bucket.generation(live).tasks["pushed"].enabled is enabled
    assert "does not exist" in press(world.ports, {"task": "none", "action": "enable"}, "r-1")


def test_an_event_names_who_has_deleted_a_task_of_which_nothing_is_left(world: World) -> None:
    create(by=ANN)
    ask("DELETE", "/v1/tasks/edge", by=BOB)
    assert world.told_by[-2:] == [[ANN], [BOB]]


def test_an_event_names_all_people_whose_changes_are_in_it(world: World) -> None:
    """The publisher may have died after a change was stored."""
    stored = ApiTask("web", task={**NEW, "name": "web"}, by=ANN, at=1.0)
    assert world.publisher.ports.api_tasks.put(stored, None)
    create(by=BOB)
    assert world.told_by[-1] == sorted([ANN, BOB])
