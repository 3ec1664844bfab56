"""Requests about a task's Terraform: the version that it keeps."""

from dataclasses import replace

import pytest

from cts.run.state import Upgrade
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
