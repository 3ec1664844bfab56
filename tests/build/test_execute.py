"""The build with real Terraform and its S3 backend, against an S3 in memory."""

import json
import shutil

import pytest

from cts.conditions.services import ServicesCondition, service_row
from cts.terraform.backend import state_key
from cts.terraform.definition import Definition, Module
from cts.terraform.files import files
from cts.terraform.place import RunPlace
from cts.terraform.root import module_folder
from cts.watch.snapshot import of
from tests.build.conftest import SOON, STATE, TASK, Place, kill, placed, until
from tests.build.s3 import serving

ONE = 'resource "terraform_data" "one" { input = terraform.workspace }\n'
NODE = {"Node": "node-a", "Address": "10.0.0.4"}
MODULE = """
variable "services" {
  type = map(object({
    id = string, name = string, kind = string, address = string, port = number
    meta = map(string), tags = list(string), namespace = string, status = string
    node = string, node_id = string, node_address = string, node_datacenter = string
    node_tagged_addresses = map(string), node_meta = map(string)
    cts_user_defined_meta = map(string)
  }))
}
variable "zone" { type = list(string) }
resource "terraform_data" "seen" { input = { services = var.services, zone = var.zone } }
"""
LOCK = f"{STATE}.tflock"
SLOW = """
resource "terraform_data" "slow" {
  depends_on = [terraform_data.one]
  provisioner "local-exec" { command = "touch running; exec sleep 300" }
}
"""
FAILING = """
resource "terraform_data" "two" {
  depends_on = [terraform_data.one]
  provisioner "local-exec" { command = "echo no such firewall >&2; exit 3" }
}
"""


def held(place: Place, who: str = "", created: str = "2026-01-01T10:00:00.123456789Z") -> None:
    lock = {"ID": "lock-1", "Operation": "OperationTypeApply", "Who": who, "Created": created}
    place.s3.objects[LOCK] = json.dumps(lock).encode()


def started(place: Place, run: str, **record: str | None) -> None:
    place.s3.objects[f"work/runs/{TASK}/{run}/started"] = json.dumps(record).encode()


def test_a_change_is_applied(place: Place) -> None:
    assert place.build(place.archive("run-1", ONE)) == 0
    result = place.result("run-1")
    assert (result["status"], result["step"], result["error"]) == ("applied", "done", None)
    assert result["counts"] == {"add": 1, "change": 0, "destroy": 0}
    assert list(result["at"]) == ["started", "init", "plan", "apply", "ended"]
    assert sorted(result["at"].values()) == list(result["at"].values())
    assert place.record("run-1", "applying") == result["at"]["apply"].encode()
    assert "Apply complete!" in place.log("run-1")
    state = json.loads(place.s3.objects[STATE])
    assert state["resources"][0]["instances"][0]["attributes"]["input"]["value"] == TASK
    assert state["terraform_version"] == result["terraform"]
    assert LOCK not in place.s3.objects


def test_what_former_runs_have_left_is_read_while_the_run_is_claimed(place: Place) -> None:
    reads = {
        f"GET work/unpushed/{TASK}",
        f"GET work/unfinished/{TASK}/apply",
        f"GET {LOCK}",
        f"HEAD {STATE}",
    }

    def wait(_method: str, path: str) -> None:
        if path.endswith("/started"):
            until(lambda: reads <= {*place.s3.seen})

    place.s3.fault = wait
    assert place.build(place.archive("run-1", ONE)) == 0


def test_the_files_of_a_task_are_applied_with_its_local_module(place: Place) -> None:
    archive = place.archive("run-1", "")
    row = service_row({"Service": {"ID": "web-1", "Service": "web"}, "Node": NODE})
    definition = Definition(
        TASK, Module("./m", digest="d"), ServicesCondition(("web",)), {"zone": ["a"]}
    )
    read = {view.id: of([row]) for view in definition.condition.views(None)}
    where = RunPlace("work", "state", "eu-west-1", "1.11.4")
    made = files(definition, read, description="", place=where, run="run-1")
    for name, text in made.items():
        (archive / name).write_text(text)
    module = archive / module_folder(TASK)
    module.mkdir(parents=True)
    (module / "main.tf").write_text(MODULE)
    assert place.build(archive) == 0
    state = json.loads(place.s3.objects[f"state/{state_key(definition)}"])
    (seen,) = [each["instances"][0]["attributes"]["input"] for each in state["resources"]]
    expected = {"web-1.node-a": {**row, "cts_user_defined_meta": {}}}
    assert seen["value"] == {"services": expected, "zone": ["a"]}


def test_nothing_is_applied_when_nothing_changes(place: Place) -> None:
    place.build(place.archive("run-1", ONE))
    assert place.build(place.archive("run-2", ONE)) == 0
    result = place.result("run-2")
    assert (result["status"], result["step"]) == ("unchanged", "done")
    assert result["counts"] == {"add": 0, "change": 0, "destroy": 0}
    assert place.record("run-2", "applying") is None


def test_an_output_alone_is_applied_too(place: Place) -> None:
    place.build(place.archive("run-1", 'output "x" { value = "a" }'))
    assert place.result("run-1")["status"] == "applied"
    assert place.result("run-1")["counts"] == {"add": 0, "change": 0, "destroy": 0}


TWO = ONE + 'resource "terraform_data" "two" {}\n'
MOVED = """
moved {
  from = terraform_data.one
  to   = terraform_data.uno
}
"""
REMOVED = """
removed {
  from = terraform_data.two
  lifecycle { destroy = false }
}
"""
IMPORTED = """
import {
  to = terraform_data.three
  id = "three"
}
resource "terraform_data" "three" {}
"""


@pytest.fixture(scope="module")
def state_of_two(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The state that a build of `TWO` leaves."""
    with serving() as s3, placed(s3, tmp_path_factory.mktemp("two")) as place:
        assert place.build(place.archive("run-1", TWO)) == 0
    return s3.objects[STATE]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (TWO.replace('"one"', '"uno"') + MOVED, {"move": 1}),
        (ONE + REMOVED, {"forget": 1}),
        (TWO + IMPORTED, {"import": 1}),
        (
            'resource "terraform_data" "uno" { input = 5 }' + MOVED + REMOVED + IMPORTED,
            {"change": 1, "move": 1, "forget": 1, "import": 1},
        ),
        (TWO + 'output "x" { value = "a.b has moved to c.d (moved from e.f)" }', {}),
    ],
    ids=["moves", "forgets", "imports", "all", "says-so-only"],
)
def test_a_plan_is_counted_as_what_it_does(
    place: Place, state_of_two: bytes, after: str, expected: dict[str, int]
) -> None:
    place.s3.objects[STATE] = state_of_two
    assert place.build(place.archive("run-2", after)) == 0
    result = place.result("run-2")
    assert result["status"] == "applied"
    assert result["counts"] == {"add": 0, "change": 0, "destroy": 0} | expected


def test_a_plan_that_fails_says_so_in_terraforms_words(place: Place) -> None:
    assert place.build(place.archive("run-1", ONE + 'output "x" { value = var.absent }')) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"], result["counts"]) == ("errored", "plan", None)
    assert result["error"].startswith("terraform apply: ")
    assert "Reference to undeclared input variable" in result["error"]
    said = result["error"].removeprefix("terraform apply: ")
    assert place.log("run-1").count(said) == 1
    assert "terraform apply: ended with code 1" in place.log("run-1")
    assert place.record("run-1", "applying") is None


def test_terraform_asks_nobody_for_a_variable(place: Place) -> None:
    assert place.build(place.archive("run-1", 'variable "zone" {}\n' + ONE)) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"]) == ("errored", "plan")
    assert "No value for required variable" in result["error"]
    assert "Enter a value" not in place.log("run-1")


def test_a_module_that_is_missing_fails_the_init(place: Place) -> None:
    assert place.build(place.archive("run-1", 'module "x" { source = "./absent" }')) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"]) == ("errored", "init")
    assert "Unreadable module directory" in result["error"]


def test_an_apply_that_fails_half_way_keeps_what_it_did(place: Place) -> None:
    assert place.build(place.archive("run-1", ONE + FAILING)) == 1
    result = place.result("run-1")
    assert (result["status"], result["step"]) == ("errored", "apply")
    assert result["counts"] == {"add": 2, "change": 0, "destroy": 0}
    assert "no such firewall" in result["error"]
    assert place.record("run-1", "applying") is not None
    assert "one" in place.resources()
    assert LOCK not in place.s3.objects


def test_a_long_error_is_cut_to_its_end(place: Place) -> None:
    noisy = FAILING.replace("echo no such firewall >&2", "yes error | head -c 20000; echo the end")
    place.build(place.archive("run-1", ONE + noisy))
    error = place.result("run-1")["error"]
    assert len(error) < 4200
    assert error.startswith("terraform apply: ... ")
    assert "the end" in error


def test_the_second_build_of_a_run_does_nothing(place: Place) -> None:
    archive = place.archive("run-1", ONE)
    started(place, "run-1", build="project:1", who="a@b", at="2026-01-01T10:00:00Z")
    assert place.build(archive, build="project:2") == 0
    assert [key for key in place.s3.objects if TASK in key and not key.endswith("/started")] == []


def test_a_run_that_was_given_up_does_nothing(place: Place) -> None:
    archive = place.archive("run-1", ONE)
    started(place, "run-1", build=None, gave_up="no news for ten minutes")
    assert place.build(archive) == 0
    assert [key for key in place.s3.objects if TASK in key and not key.endswith("/started")] == []


def test_a_put_of_started_whose_answer_was_lost_still_counts(place: Place) -> None:
    at = "2026-01-01T10:00:00Z"
    started(place, "run-1", build="project:1", who="a@b", at=at)
    assert place.build(place.archive("run-1", ONE)) == 0
    assert place.result("run-1")["status"] == "applied"
    assert place.result("run-1")["at"]["started"] == at


def test_conflicts_and_server_errors_of_s3_are_tried_again(place: Place) -> None:
    answers = iter([409, 503, 500])
    place.s3.fault = lambda method, _: next(answers, None) if method == "PUT" else None
    assert place.build(place.archive("run-1", ONE)) == 0
    assert place.result("run-1")["status"] == "applied"


def test_a_build_that_may_not_write_its_record_says_which(place: Place) -> None:
    place.s3.fault = lambda _, path: 403 if path.endswith("/started") else None
    process = place.start(place.archive("run-1", ONE))
    output = process.end()
    assert process.exitcode == 1
    assert output == f"PUT s3://work/runs/{TASK}/run-1/started: HTTP 403 Injected Injected\n"


def test_a_lock_that_somebody_else_holds_is_never_released(place: Place) -> None:
    held(place, who="person@laptop")
    assert place.build(place.archive("run-1", ONE), minutes=SOON) == 0
    result = place.result("run-1")
    assert (result["status"], result["step"], result["retryable"]) == ("busy", "plan", True)
    assert "locked by person@laptop since 2026-01-01 10:00:00.123456789" in result["error"]
    assert LOCK in place.s3.objects


def test_a_lock_of_a_former_build_from_after_its_end_is_not_released(place: Place) -> None:
    former = [{"run": "run-0", "ended_at": "2026-01-01T09:59:00Z"}]
    started(place, "run-0", build="project:0", who="a@b", at="2026-01-01T09:00:00Z")
    held(place, who="a@b")
    assert place.build(place.archive("run-1", ONE, former=former), minutes=SOON) == 0
    assert place.result("run-1")["status"] == "busy"
    assert LOCK in place.s3.objects


def test_a_lock_from_before_a_former_build_began_is_not_released(place: Place) -> None:
    """Containers of different builds may have one name."""
    former = [{"run": "run-0", "ended_at": "2026-01-01T10:01:00Z"}]
    started(place, "run-0", build="project:0", who="a@b", at="2026-01-01T10:00:30Z")
    held(place, who="a@b")
    assert place.build(place.archive("run-1", ONE, former=former), minutes=SOON) == 0
    assert place.result("run-1")["status"] == "busy"
    assert LOCK in place.s3.objects


def test_a_lock_that_a_former_build_left_is_released(place: Place) -> None:
    former = [
        {"run": "run-00", "ended_at": "2026-01-01T08:00:00Z"},
        {"run": "run-0", "ended_at": "2026-01-01T10:01:00Z"},
    ]
    started(place, "run-0", build="project:0", who="a@b", at="2026-01-01T09:59:00Z")
    held(place, who="a@b")
    assert place.build(place.archive("run-1", ONE, former=former)) == 0
    assert place.result("run-1")["status"] == "applied"
    assert "released the state lock that run run-0 left: a@b since" in place.log("run-1")


def test_a_lock_taken_by_another_while_it_is_judged_is_kept(place: Place) -> None:
    former = [{"run": "run-0", "ended_at": "2026-01-01T10:01:00Z"}]
    started(place, "run-0", build="project:0", who="a@b", at="2026-01-01T09:59:00Z")
    held(place, who="a@b")

    def another_takes_it(method: str, path: str) -> None:
        if (method, path) == ("DELETE", LOCK):
            held(place, who="person@laptop")

    place.s3.fault = another_takes_it
    assert place.build(place.archive("run-1", ONE, former=former), minutes=SOON) == 0
    assert "locked by person@laptop" in place.result("run-1")["error"]


def test_a_lock_that_disappears_while_it_is_judged_stops_nothing(place: Place) -> None:
    former = [{"run": "run-0", "ended_at": "2026-01-01T10:01:00Z"}]
    started(place, "run-0", build="project:0", who="a@b", at="2026-01-01T09:59:00Z")
    held(place, who="a@b")

    def it_goes(method: str, path: str) -> None:
        if (method, path) == ("DELETE", LOCK):
            place.s3.objects.pop(LOCK, None)

    place.s3.fault = it_goes
    assert place.build(place.archive("run-1", ONE, former=former)) == 0


def test_a_build_killed_in_the_middle_of_apply_is_recovered_by_the_next(place: Place) -> None:
    archive = place.archive("run-1", ONE + SLOW)
    process = place.start(archive)
    until((archive / "running").exists)
    kill(process)
    assert place.record("run-1", "applying") is not None
    assert place.record("run-1", "result.json") is None
    assert LOCK in place.s3.objects
    ended = json.loads(place.s3.objects[LOCK])["Created"]
    former = [{"run": "run-1", "ended_at": ended}]
    assert place.build(place.archive("run-2", ONE, former=former)) == 0
    assert place.resources() == ["one"]


def test_a_stopped_build_lets_terraform_store_its_state(place: Place) -> None:
    archive = place.archive("run-1", ONE + SLOW)
    process = place.start(archive)
    until((archive / "running").exists)
    process.terminate()
    process.end()
    assert process.exitcode == 1
    result = place.result("run-1")
    assert (result["status"], result["step"]) == ("errored", "apply")
    assert "interrupted because the build was stopped" in result["error"]
    assert "one" in place.resources()
    assert LOCK not in place.s3.objects


def test_the_time_limit_stops_terraform_before_it_is_reached(place: Place) -> None:
    assert place.build(place.archive("run-1", ONE + SLOW), minutes=0.15) == 1
    result = place.result("run-1")
    assert result["status"] == "errored"
    assert "time limit of 0.15 minutes is near" in result["error"]
    assert LOCK not in place.s3.objects


def test_terraform_comes_from_the_path(place: Place) -> None:
    place.build(place.archive("run-1", ONE))
    assert shutil.which("terraform")
    assert not any("tools/" in request for request in place.s3.seen)


def test_an_inspection_leaves_nothing_in_the_bucket(place: Place) -> None:
    def inspected(run: str, main: str) -> int:
        archive = place.archive(run, main)
        facts = json.loads((archive / "run.json").read_text()) | {"inspect": True}
        (archive / "run.json").write_text(json.dumps(facts))
        code = place.build(archive)
        result = place.result(run)
        assert (result["status"], place.record(run, "applying")) == ("planned", None)
        added: int = result["counts"]["add"]
        return code or added

    before = {key for key in place.s3.objects if key.startswith("state/")}
    assert inspected("run-1", ONE) == 1
    assert {key for key in place.s3.objects if key.startswith("state/")} == before
    assert place.build(place.archive("run-2", ONE)) == 0
    stored = place.s3.objects[STATE]
    place.s3.seen.clear()
    assert inspected("run-3", TWO) == 1
    assert place.s3.objects[STATE] == stored
    assert not [each for each in place.s3.seen if each.startswith("PUT state/")]
