"""A task keeps the version of Terraform that it applied with."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cts.run.kept_version import claimed_with, upgraded
from cts.run.model import End, RunStatus
from cts.run.person import ask
from cts.run.state import TaskState, Upgrade
from cts.run.task import Claimed, claim, finish
from cts.terraform.archive import unzipped
from cts.workflow.start import StartOutcome
from tests.unit.system import System, system

APPLIED = End(RunStatus.APPLIED, apply_began=True)
UNCHANGED = End(RunStatus.UNCHANGED, apply_began=False)
FAILED_EARLY = End(RunStatus.ERRORED, apply_began=False)
FAILED_HALF = End(RunStatus.ERRORED, apply_began=True)
BUSY = End(RunStatus.BUSY, apply_began=False)


def running(state: TaskState, version: str) -> TaskState:
    claimed = claim(ask(state, 1.0, "why"), "web-1", "A", "A", 1.0)
    assert isinstance(claimed, Claimed)
    return claimed_with(claimed.state, version, "terraform", "terraform")


def after(state: TaskState, end: End) -> str:
    return finish(state, "web-1", end, 2.0, jitter=0.0).terraform


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        (APPLIED, "terraform 1.9.8"),
        (FAILED_HALF, "terraform 1.9.8"),
        (UNCHANGED, "terraform 1.5.7"),
        (FAILED_EARLY, "terraform 1.5.7"),
        (BUSY, "terraform 1.5.7"),
    ],
)
def test_it_keeps_what_began_to_apply(end: End, kept: str) -> None:
    before = TaskState("web", terraform="terraform 1.5.7")
    assert after(running(before, "terraform 1.9.8"), end) == kept


@pytest.mark.parametrize("version", ["terraform 1.12.2", ""])
def test_what_a_person_wants_outlives_a_run_that_is_under_way(version: str) -> None:
    state = running(TaskState("web", terraform="terraform 1.5.7"), "terraform 1.5.7")
    asked = upgraded(state, version, "ann", 3.0)
    assert asked.terraform == version
    assert after(asked, APPLIED) == version


def test_a_task_that_does_not_run_is_upgraded() -> None:
    state = TaskState("web", terraform="terraform 1.5.7")
    asked = upgraded(state, "", "ann", 3.0)
    assert asked == replace(state, terraform="", upgrade=Upgrade("", "ann", 3.0))
    assert upgraded(asked, "", "bob", 4.0) == asked


# ---- from run to run ---------------------------------------------------------------------------


def ran(world: System, default: str, **result: object) -> dict[str, Any]:
    """What the archive of the task's next run says of it; then it applies."""
    place = replace(world.start_ports.place, terraform_version=default)
    world.start_ports = replace(world.start_ports, place=place)
    world.ask("web")
    assert world.start("web") is StartOutcome.STARTED
    run = world.running("web")
    world.begins(run)
    world.write(run, "applying", "now")
    world.result(run, "applied", **result)
    world.ends(run)
    archive = world.bucket.archive("web", run.id)
    assert archive
    facts: dict[str, Any] = json.loads(unzipped(archive)["run.json"])
    return facts


def test_a_version_stays_when_the_default_moves() -> None:
    world = system()
    assert ran(world, "1.9.8")["terraform_version"] == "1.9.8"
    assert ran(world, "1.12.2")["terraform_version"] == "1.9.8"
    assert world.table.state("web").terraform == "terraform 1.9.8"
    world.put(upgraded(world.table.state("web"), "", "ann", 3.0))
    assert ran(world, "1.12.2")["terraform_version"] == "1.12.2"


def test_what_the_build_reports_is_not_kept() -> None:
    """A module may write there, too."""
    world = system()
    ran(world, "1.9.8", terraform="9.9.9")
    assert world.table.state("web").terraform == "terraform 1.9.8"


def configure(world: System, version: str = "", engine: str = "", required: str = "") -> None:
    entry = world.tasks["web"]
    definition = world.bucket.definition(entry.definition)
    configured = replace(definition, terraform_version=version, engine=engine)
    world.bucket.put_definition(configured)
    entry = replace(entry, definition=configured.digest, required_version=required)
    world.tasks["web"] = entry
    world.publish()


def test_the_configuration_counts_more_than_what_a_task_keeps() -> None:
    world = system()
    ran(world, "1.9.8")
    configure(world, version="1.12.2")
    assert ran(world, "1.9.8")["terraform_version"] == "1.12.2"
    configure(world)
    assert ran(world, "1.9.8")["terraform_version"] == "1.12.2"


def test_the_module_and_the_engine_choose_a_release() -> None:
    world = system()
    configure(world, required="~> 1.5.0")
    assert ran(world, "1.9.8")["terraform_version"] == "1.5.7"
    configure(world, required="~> 1.8.0", engine="opentofu")
    facts = ran(world, "1.9.8")
    assert (facts["engine"], facts["terraform_version"]) == ("opentofu", "1.8.11")


def test_without_a_version_the_run_fails_and_says_why() -> None:
    world = system()
    configure(world, required="> 1.5.7, < 1.6.0")
    world.observe("web")
    assert world.start("web") is StartOutcome.NOT_RENDERED
    assert "the module requires Terraform > 1.5.7, < 1.6.0" in str(world.table.state("web").recent)
