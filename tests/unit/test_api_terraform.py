"""Requests about a task's Terraform: the version that it keeps, and where its state is."""

import json
from dataclasses import replace

import pytest

from cts.run.model import RunStatus
from cts.run.person import hold
from cts.run.state import Done, Reason, TaskState, Upgrade
from cts.terraform.archive import unzipped
from cts.workflow.start import StartOutcome
from functions.api import app
from tests.unit.api_fakes import ANN, BOB, ports_of, post
from tests.unit.system import System, system


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> System:
    made = system()
    monkeypatch.setattr(app, "ports", lambda: ports_of(made))
    return made


def upgrade(version: object, by: str = ANN) -> tuple[int, str]:
    """Status, and the error."""
    code, found = post("/v1/tasks/web/upgrade-terraform", {"version": version}, by)
    return code, found.get("error", {}).get("message", "")


def configure(world: System, version: str = "", engine: str = "", required: str = "") -> None:
    entry = world.tasks["web"]
    definition = world.bucket.definition(entry.definition)
    configured = replace(definition, terraform_version=version, engine=engine)
    world.bucket.put_definition(configured)
    world.tasks["web"] = replace(entry, definition=configured.digest, required_version=required)
    world.publish()


def test_the_next_run_works_with_the_version_and_the_state_says_who_asked(world: System) -> None:
    world.done("web")
    code, found = post("/v1/tasks/web/upgrade-terraform", {"version": "v1.12.2"})
    asked = {"version": "terraform 1.12.2", "by": ANN, "at": "1970-01-01T00:16:40.000Z"}
    assert (code, found["terraform"]) == (
        200,
        {"version": "terraform 1.12.2", "upgrade": asked, "state": None},
    )
    assert world.triggered == []
    world.ask("web")
    assert world.start("web") is StartOutcome.STARTED
    assert world.table.state("web").upgrade == Upgrade("terraform 1.12.2", ANN, 1000.0)


def test_the_same_version_again_changes_nothing(world: System) -> None:
    upgrade("1.12.2")
    before = world.table.state("web")
    assert upgrade("1.12.2", by=BOB) == (200, "")
    assert world.table.state("web") == before


def test_a_version_of_the_tasks_own_engine(world: System) -> None:
    configure(world, engine="opentofu")
    upgrade("1.8.5")
    assert world.table.state("web").terraform == "opentofu 1.8.5"
    assert upgrade("1.5.7") == (400, "OpenTofu 1.5.7 is too old: use 1.6.0 or newer")


def test_without_a_version_the_task_keeps_none(world: System) -> None:
    upgrade("1.12.2")
    assert upgrade("") == (200, "")
    assert world.table.state("web").terraform == ""


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("latest", '"latest" is not a single version: write it as "1.9.8"'),
        ("1.9", '"1.9" is not an exact version: write it as "1.9.8"'),
        ("1.9.8.4", '"1.9.8.4" is not an exact version: write it as "1.9.8"'),
        ("01.9.8", '"01.9.8" is not an exact version: write it as "1.9.8"'),
        ("1.9.8+ent", '"1.9.8+ent" is not an exact version: write it as "1.9.8"'),
        ("vv1.9.8", '"vv1.9.8" is not a single version: write it as "1.9.8"'),
        ("v", '"v" is not a single version: write it as "1.9.8"'),
        ("../1.9.8", '"../1.9.8" is not a single version: write it as "1.9.8"'),
        ("1.9.8, 1.9.9", '"1.9.8, 1.9.9" is not a single version: write it as "1.9.8"'),
        ("1.16.0-beta1", '"1.16.0-beta1" is a pre-release: use a release'),
        ("0.12.31", "Terraform 0.12.31 is too old: use 0.13.0 or newer"),
        (1.9, 'the body must be a JSON object with "version", a text, and nothing else'),
    ],
)
def test_what_is_not_a_version_is_refused(world: System, version: object, told: str) -> None:
    assert upgrade(version) == (400, told)
    assert world.table.state("web").upgrade is None


def test_what_the_configuration_rules_out_is_refused(world: System) -> None:
    configure(world, version="1.9.8")
    assert upgrade("1.12.2") == (
        409,
        "task 'web' has 1.9.8 in its configuration: change it there",
    )
    configure(world, required="~> 1.9.0")
    assert upgrade("1.12.2") == (409, "task 'web' has a module that requires Terraform ~> 1.9.0")


def test_a_workspace_of_hcp_terraform_has_its_own(world: System) -> None:
    world.tasks["web"] = replace(world.tasks["web"], driver="terraform-cloud")
    world.publish()
    assert upgrade("1.12.2") == (
        409,
        "task 'web' has the version of its workspace: change it there",
    )


# ---- where the state is ---------------------------------------------------------------------

PATH = "consul-terraform-sync/terraform"


def move(to: object) -> tuple[int, str]:
    """Status, and the error."""
    code, found = post("/v1/tasks/web/move-state", {"to": to})
    return code, found.get("error", {}).get("message", "")


def placed(world: System, place: str) -> TaskState:
    """A task that has applied, with its state there."""
    world.former_state = PATH
    world.publish()
    world.done("web")
    path = PATH if place == "consul" else ""
    world.put(replace(world.table.state("web"), place=place, path=path))
    return world.table.state("web")


def moved(world: System, status: str = "moved") -> dict[str, str]:
    """What the archive of the run has, when the run has ended."""
    assert world.start("web") is StartOutcome.STARTED
    run = world.running("web")
    world.begins(run)
    world.result(run, status, error="no" if status == "errored" else None)
    world.ends(run)
    archive = world.bucket.archive("web", run.id)
    assert archive
    return {name: body.decode() for name, body in unzipped(archive).items()}


@pytest.mark.parametrize(
    ("start", "to", "path"), [("consul", "stack", ""), ("stack", "consul", PATH)]
)
def test_a_state_is_moved_and_all_else_stays(world: System, start: str, to: str, path: str) -> None:
    before = placed(world, start)
    world.put(hold(before, "adopted", BOB, 1.0))
    assert move(to) == (202, "")
    files = moved(world)
    facts = json.loads(files["run.json"])
    assert (facts["moves_to"], facts["consul_backend"]) == (to, True)
    assert (facts["state_bucket"], facts["state_key"]) == ("state", "tasks/web/terraform.tfstate")
    assert f'path    = "{PATH}"' in files["main.tf"]
    assert "module" not in files["main.tf"]
    [run] = [each for each in world.table.stored_runs.values() if each.why == ("move",)]
    assert (run.status, run.by, run.request) == (RunStatus.MOVED, ANN, "r-1")
    state = world.table.state("web")
    assert (state.place, state.path, state.hold) == (to, path, "adopted")
    assert (state.done, state.recent, state.wanted) == (before.done, before.recent, {})
    assert isinstance(state.done, Done)


def test_after_it_the_task_has_its_state_there(world: System) -> None:
    placed(world, "consul")
    move("stack")
    moved(world)
    world.ask("web")
    world.start("web")
    archive = world.bucket.archive("web", world.running("web").id)
    assert archive
    assert 'backend "s3"' in unzipped(archive)["main.tf"].decode()


def test_a_move_that_failed_leaves_the_place_and_is_no_failure_of_the_task(world: System) -> None:
    placed(world, "consul")
    move("stack")
    moved(world, "errored")
    state = world.table.state("web")
    assert (state.place, state.path, state.failures, state.wanted) == ("consul", PATH, 0, {})
    assert world.metrics.counted == {}
    assert move("stack") == (202, "")


def test_a_move_waits_for_whoever_has_locked_the_state(world: System) -> None:
    placed(world, "consul")
    move("stack")
    moved(world, "busy")
    wish = world.table.state("web").wanted[Reason.MOVE]
    assert (wish.by, wish.due_at > world.clock()) == (ANN, True)


def test_a_plan_and_a_move_come_one_after_the_other(world: System) -> None:
    placed(world, "consul")
    move("stack")
    world.clock.now += 1
    post("/v1/tasks/web/inspect")
    moved(world)
    assert world.start("web") is StartOutcome.STARTED
    assert world.running("web").why == ("inspect",)


@pytest.mark.parametrize(
    ("start", "to", "path"), [("consul", "stack", ""), ("stack", "consul", PATH)]
)
@pytest.mark.parametrize("begun", [False, True])
def test_who_asks_for_a_move_twice_gets_it_once(
    world: System, start: str, to: str, path: str, begun: bool
) -> None:
    placed(world, start)
    move(to)
    if begun:
        assert world.start("web") is StartOutcome.STARTED
    code, found = post("/v1/tasks/web/move-state", {"to": to}, BOB)
    assert (code, found["asked"]["by"]) == (202, ANN)
    assert move(start) == (409, "task 'web' moves its state the other way: wait until it has")
    if begun:
        run = world.running("web")
        world.begins(run)
        world.result(run, "moved")
        world.ends(run)
    else:
        moved(world)
    state = world.table.state("web")
    assert (state.place, state.path, state.wanted) == (to, path, {})
    assert len([each for each in world.table.stored_runs.values() if each.why == ("move",)]) == 1


def test_it_is_there_already(world: System) -> None:
    placed(world, "consul")
    assert move("consul") == (409, "task 'web' already has its state in Consul")
    placed(world, "stack")
    assert move("stack") == (409, "task 'web' already has its state in the state bucket")


def test_a_backend_of_the_configuration_counts_more(world: System) -> None:
    placed(world, "consul")
    world.former_state = ""
    world.publish()
    assert move("stack") == (
        409,
        "task 'web' has its state where its configuration says: move it there",
    )


def test_a_backend_that_is_configured_meanwhile_stops_the_move(world: System) -> None:
    before = placed(world, "consul")
    move("stack")
    entry = world.tasks["web"]
    own = replace(world.bucket.definition(entry.definition), backend={"s3": {"bucket": "mine"}})
    world.bucket.put_definition(own)
    world.tasks["web"] = replace(entry, definition=own.digest)
    world.publish()
    assert world.start("web") is StartOutcome.NOT_RENDERED
    state = world.table.state("web")
    assert (state.place, state.path, state.done) == (before.place, before.path, before.done)


def test_a_state_that_was_not_looked_for_is_not_moved(world: System) -> None:
    world.former_state = PATH
    world.publish()
    assert move("stack")[1].endswith("has not been looked for in Consul yet: try again later")


@pytest.mark.parametrize("to", ["", "s3", None, ["stack"]])
def test_a_move_has_a_target(world: System, to: object) -> None:
    assert move(to) == (400, 'the body must be a JSON object with "to": "stack" or "consul"')
