"""What a task has created is destroyed, by real Terraform."""

import json
from pathlib import Path

import pytest

from tests.build.conftest import STATE, Place, kill, until

TWO = """
resource "terraform_data" "one" { input = terraform.workspace }
resource "terraform_data" "two" {
  depends_on = [terraform_data.one]
  provisioner "local-exec" {
    when    = destroy
    command = "WHAT"
  }
}
"""
GOOD = TWO.replace("WHAT", "true")


def destroying(place: Place, run: str, main: str = GOOD, *, inspect: bool = False) -> Path:
    ended = [{"run": "killed", "ended_at": "2099-01-01T00:00:00Z"}]
    archive = place.archive(run, main, inspect=inspect, former=ended)
    facts = json.loads((archive / "run.json").read_text())
    (archive / "run.json").write_text(json.dumps({**facts, "destroy": True}))
    return archive


@pytest.fixture
def created(place: Place) -> Place:
    assert place.build(place.archive("run-1", GOOD)) == 0
    assert place.resources() == ["one", "two"]
    return place


def test_everything_is_destroyed(created: Place) -> None:
    assert created.build(destroying(created, "run-2")) == 0
    result = created.result("run-2")
    assert (result["status"], result["step"]) == ("applied", "done")
    assert result["counts"] == {"add": 0, "change": 0, "destroy": 2}
    assert {each["action"] for each in result["changes"]} == {"destroy"}
    assert created.record("run-2", "applying") == result["at"]["apply"].encode()
    assert created.resources() == []
    assert f"{STATE}.tflock" not in created.s3.objects


def test_again_there_is_nothing_to_destroy(created: Place) -> None:
    for run, status in (("run-2", "applied"), ("run-3", "unchanged")):
        created.build(destroying(created, run))
        assert created.result(run)["status"] == status
    assert created.record("run-3", "applying") is None
    assert created.build(created.archive("run-4", GOOD)) == 0
    assert created.resources() == ["one", "two"]


def test_a_task_without_a_state_has_nothing_to_destroy(place: Place) -> None:
    place.build(destroying(place, "run-1"))
    assert place.result("run-1")["status"] == "unchanged"


def test_what_fails_stays_and_is_destroyed_by_the_next_run(created: Place) -> None:
    created.build(destroying(created, "run-2", TWO.replace("WHAT", "echo in use >&2; exit 1")))
    result = created.result("run-2")
    assert (result["status"], result["step"], result["retryable"]) == ("errored", "apply", True)
    assert "in use" in result["error"]
    assert "two" in created.resources()
    assert created.build(destroying(created, "run-3")) == 0
    assert created.resources() == []


def test_a_build_that_is_killed_meanwhile_is_made_up_for(created: Place) -> None:
    archive = destroying(created, "killed", TWO.replace("WHAT", "touch running; exec sleep 300"))
    process = created.start(archive)
    until((archive / "running").exists)
    kill(process)
    assert created.record("killed", "result.json") is None
    assert created.build(destroying(created, "run-3")) == 0
    assert created.result("run-3")["status"] == "applied"
    assert created.resources() == []


def test_a_plan_of_it_destroys_nothing(created: Place) -> None:
    before = created.s3.objects[STATE]
    created.build(destroying(created, "run-2", inspect=True))
    result = created.result("run-2")
    assert (result["status"], result["counts"]["destroy"]) == ("planned", 2)
    assert "Plan: 0 to add, 0 to change, 2 to destroy." in created.log("run-2")
    assert created.s3.objects[STATE] == before
