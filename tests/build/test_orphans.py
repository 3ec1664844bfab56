"""A build that is killed hard may leave objects that no state knows: the next run names them."""

import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cts.build.orphans import FOUND, PLANNED, LeftOutside, ids_of, outside
from local.provider.mirror import SOURCE, VERSIONS
from tests.build.builds import Build
from tests.build.conftest import STATE, TASK, Place, kill, until
from tests.build.stores import storing
from tests.conftest import Terraform

Moment = Callable[[Build], object]
MARKER = f"work/unfinished/{TASK}/apply"
ROOT = """
terraform {
  required_providers {
    files = {
      source  = "%s"
      version = "%s"
    }
  }
}
provider "files" {
  device = "%s"
  delay  = 0.2
}
resource "files_object" "one" {
  for_each = toset([%s])
  name     = each.key
  content  = "c"
}
"""


class Device:
    """The folder that stands for a device, and builds that change it."""

    def __init__(self, place: Place) -> None:
        self.place, self.folder = place, place.folder / "device"
        self.folder.mkdir()

    def archive(self, run: str, names: list[str]) -> Path:
        listed = ", ".join(f'"{name}"' for name in names)
        return self.place.archive(run, ROOT % (SOURCE, VERSIONS[0], self.folder, listed))

    def objects(self) -> dict[str, str]:
        """ID -> name, of all there are."""
        found = [json.loads(each.read_text()) for each in self.folder.glob("*.json")]
        return {each["id"]: each["name"] for each in found}

    def in_state(self) -> dict[str, str]:
        """ID -> name, of those that the state knows."""
        state = json.loads(self.place.s3.objects[STATE])
        each = [i["attributes"] for r in state["resources"] for i in r["instances"]]
        return {one["id"]: one["name"] for one in each}

    def orphans(self, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.place.result(run)["orphans"]
        return found


@pytest.fixture
def device(place: Place) -> Device:
    return Device(place)


NAMES = [f"n{number}" for number in range(12)]


def killed_and_recovered(device: Device, names: list[str], moment: Moment) -> None:
    """Kill a build at some moment. The next run ends without help, with the right objects, and
    names what is left beside them."""
    place = device.place
    process = place.start(device.archive("run-1", names))
    moment(process)
    kill(process)
    former_run = [{"run": "run-1", "ended_at": "2999-01-01T00:00:00Z"}]
    archive = device.archive("run-2", names)
    facts = json.loads((archive / "run.json").read_text()) | {"former_runs": former_run}
    (archive / "run.json").write_text(json.dumps(facts))
    assert place.build(archive, "project:2") == 0, place.log("run-2")
    assert f"{STATE}.tflock" not in place.s3.objects
    assert MARKER not in place.s3.objects
    known, there = device.in_state(), device.objects()
    assert sorted(known.values()) == sorted(names)
    assert known.items() <= there.items()
    left = {id_: name for id_, name in there.items() if id_ not in known}
    orphans = device.orphans("run-2")
    named = {each["address"].split('"')[1] for each in orphans}
    assert set(left.values()) <= named
    # Of what it names, only that is not there of which the log didn't tell that it was made.
    assert {each["id"] for each in orphans if each["seen"] == "created"} <= left.keys()
    assert {each["run"] for each in orphans} <= {"run-1"}
    assert all(each["address"] in place.log("run-2") for each in orphans)


def test_what_a_killed_build_left_is_named_by_the_next_run(device: Device) -> None:
    killed_and_recovered(device, NAMES, lambda _: until(lambda: len(device.objects()) >= 3))
    assert device.orphans("run-2")
    assert "may exist outside of the state" in device.place.log("run-2")
    again = device.archive("run-3", NAMES)
    assert device.place.build(again, "project:3") == 0
    assert device.orphans("run-3") == []


def test_a_secret_that_is_a_word_of_an_address_makes_no_orphans(device: Device) -> None:
    place = device.place
    with storing() as stores:
        place.environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = stores.url
        stores.secrets["word"] = "object"
        for run in ("run-1", "run-2"):
            archive = device.archive(run, NAMES[:2])
            facts = json.loads((archive / "run.json").read_text())
            environment = {"WORD": "{{resolve:secretsmanager:word}}"}
            (archive / "run.json").write_text(json.dumps(facts | {"environment": environment}))
            assert place.build(archive, f"project:{run}") == 0, place.log(run)
            # As if it had been killed after its last object was in the state.
            creates = dict.fromkeys(PLANNED.findall(place.log("run-1")), "")
            marker = {"run": "run-1", "creates": creates, "orphans": []}
            place.s3.objects[MARKER] = json.dumps(marker).encode()
    assert sorted(creates) == ['files_***.one["n0"]', 'files_***.one["n1"]']
    assert device.orphans("run-2") == []


def test_a_run_that_ended_by_itself_leaves_nothing_to_name(device: Device) -> None:
    assert device.place.build(device.archive("run-1", NAMES[:2])) == 0
    assert MARKER not in device.place.s3.objects
    assert device.place.build(device.archive("run-2", NAMES[:1]), "project:2") == 0
    assert device.orphans("run-2") == []


def test_an_apply_that_creates_nothing_is_not_recorded_as_one_that_may(device: Device) -> None:
    assert device.place.build(device.archive("run-1", NAMES[:2])) == 0
    device.place.s3.seen.clear()
    assert device.place.build(device.archive("run-2", NAMES[:1]), "project:2") == 0
    assert sorted(device.in_state().values()) == NAMES[:1]
    assert f"PUT {MARKER}" not in device.place.s3.seen


def test_what_an_apply_destroys_is_no_orphan_of_a_former_run(device: Device) -> None:
    place = device.place
    assert place.build(device.archive("run-1", NAMES[:2])) == 0
    # As if it had been killed after its last object was in the state.
    creates = dict.fromkeys(PLANNED.findall(place.log("run-1")), "")
    marker = {"run": "run-1", "creates": creates, "orphans": []}
    place.s3.objects[MARKER] = json.dumps(marker).encode()
    applied, killed = threading.Event(), threading.Event()

    def hold(_method: str, path: str) -> None:
        if path.endswith("run-2/result.json"):
            applied.set()
            killed.wait(timeout=60)

    place.s3.fault = hold
    process = place.start(device.archive("run-2", NAMES[:1]), "project:2")
    until(applied.is_set)
    kill(process)
    killed.set()
    assert place.build(device.archive("run-3", NAMES[:1]), "project:3") == 0
    assert sorted(device.in_state().values()) == NAMES[:1]
    assert len(creates) == 2
    assert device.orphans("run-3") == []


def test_a_build_that_is_stopped_gently_leaves_no_object_without_state(device: Device) -> None:
    process = device.place.start(device.archive("run-1", NAMES))
    until(lambda: len(device.objects()) >= 3)
    process.terminate()
    process.end()
    assert device.in_state() == device.objects()
    assert MARKER not in device.place.s3.objects


def test_orphans_are_named_until_a_result_is_stored(device: Device) -> None:
    place = device.place
    process = place.start(device.archive("run-1", NAMES))
    until(lambda: len(device.objects()) >= 3)
    kill(process)
    place.s3.objects.pop(f"{STATE}.tflock")
    lost = set(device.objects())
    second = place.start(device.archive("run-2", NAMES), "project:2")
    until(lambda: len(device.objects()) >= len(lost) + 3)
    kill(second)
    place.s3.objects.pop(f"{STATE}.tflock")
    assert place.build(device.archive("run-3", NAMES), "project:3") == 0
    assert {each["run"] for each in device.orphans("run-3")} == {"run-1", "run-2"}
    assert MARKER not in place.s3.objects


@pytest.mark.parametrize(
    "number", [0, 1, *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 50))]
)
def test_a_build_killed_at_a_random_moment_is_recovered(device: Device, number: int) -> None:
    chance = random.Random(number)
    names = NAMES[: chance.randrange(2, 13)]
    many, lines = chance.randrange(len(names)), chance.randrange(1, 40)

    def moment(process: Build) -> None:
        def said() -> str:
            return process.output.read_text()

        if chance.random() < 0.5:
            until(lambda: len(device.objects()) >= many)
        else:
            until(lambda: said().count("\n") >= lines or "Apply complete" in said())

    killed_and_recovered(device, names, moment)


# ---- what Terraform prints --------------------------------------------------------------------

BEFORE = """
variable "v" { default = "1" }
resource "terraform_data" "replaced" { triggers_replace = var.v }
resource "terraform_data" "triggered" {
  lifecycle { replace_triggered_by = [terraform_data.replaced] }
}
resource "terraform_data" "tainted" {}
resource "terraform_data" "asked" {}
resource "terraform_data" "kept" { input = var.v }
module "m" {
  source = "./m"
  v      = var.v
}
"""
MODULE = """
variable "v" {}
resource "terraform_data" "each" {
  for_each = toset([var.v, "a\\"b$${c}"])
}
resource "terraform_data" "count" { count = 2 }
"""


def test_what_a_plan_creates_is_read_from_what_terraform_prints(
    terraform: Terraform, tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "main.tf").write_text(MODULE)
    (tmp_path / "main.tf").write_text(BEFORE)
    terraform(tmp_path, "init")
    terraform(tmp_path, "apply", "-auto-approve")
    terraform(tmp_path, "taint", "terraform_data.tainted")
    said = terraform(
        tmp_path, "plan", "-var=v=2", "-replace=terraform_data.asked", "-out=plan"
    ).stdout
    changes = json.loads(terraform(tmp_path, "show", "-json", "plan").stdout)["resource_changes"]
    created = {each["address"] for each in changes if "create" in each["change"]["actions"]}
    assert len(created) == 5
    assert set(PLANNED.findall(said)) == created
    state = json.loads((tmp_path / "terraform.tfstate").read_text())
    assert ids_of(state) == dict(FOUND.findall(said))
    assert len(ids_of(state)) == 9


LOG = """\
x.new: Creating...
x.old: Creating...
x.new: Creation complete after 0s [id=7]
x.done: Creating...
"""


@pytest.mark.parametrize(
    ("planned", "state", "found"),
    [
        ({"x.new": ""}, {}, [("x.new", "7", "created")]),
        ({"x.new": ""}, {"x.new": "7"}, []),
        ({"x.done": ""}, {}, [("x.done", "", "begun")]),
        ({"x.later": ""}, {}, [("x.later", "", "")]),
        ({"x.old": "3"}, {"x.old": "3"}, [("x.old", "", "begun")]),
        ({"x.old": "3"}, {"x.old": "4"}, []),
        ({"x.old": "3"}, {}, [("x.old", "", "begun")]),
    ],
)
def test_what_is_outside_of_the_state(
    planned: dict[str, str], state: dict[str, str], found: list[tuple[str, str, str]]
) -> None:
    assert list(outside("r", planned, state, LOG)) == [LeftOutside("r", *each) for each in found]
