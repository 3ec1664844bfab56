"""A state that someone else works on: the build waits for it, and then leaves it alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cts.build.busy import LockWait, busy_from
from cts.build.errors import Busy, RunError
from cts.build.stop import Stop
from cts.build.terraform import Ended
from local.consul import Consul
from tests.build.conftest import SOON, TASK, Place, kill, until

HOLDING = """
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "touch running; until [ -e go ]; do sleep 0.05; done" }
}
"""
ONE = 'resource "terraform_data" "one" {}\n'
CONSUL = 'terraform {\n  backend "consul" {\n    path = "cts/terraform"\n  }\n}\n'
STATE = f"cts/terraform-env:{TASK}"


class Stack:
    """Builds whose state is in the stack's bucket."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def archive(self, run: str, main: str) -> Path:
        return self.place.archive(run, main)

    def state(self) -> bytes | None:
        return self.place.s3.objects.get(f"state/tasks/{TASK}/terraform.tfstate")

    def is_locked(self) -> bool:
        return f"state/tasks/{TASK}/terraform.tfstate.tflock" in self.place.s3.objects

    def names(self) -> list[str]:
        return [each["name"] for each in json.loads(self.state() or b"")["resources"]]


class OwnConsul(Stack):
    """Builds whose state is in Consul."""

    def __init__(self, place: Place, consul: Consul, client: httpx.Client) -> None:
        super().__init__(place)
        self.consul, self.client = consul, client

    def archive(self, run: str, main: str, **more: object) -> Path:
        archive = self.place.archive(run, "")
        (archive / "main.tf").write_text(CONSUL + main)
        facts = json.loads((archive / "run.json").read_text())
        facts |= {"state_bucket": "", "state_key": "", "consul_backend": True}
        facts |= {"consul_address": self.consul.address, **more}
        (archive / "run.json").write_text(json.dumps(facts))
        return archive

    def keys(self) -> list[str]:
        found: list[str] = self.client.get("/v1/kv/?keys").json()
        return found

    def state(self) -> bytes | None:
        answer = self.client.get(f"/v1/kv/{STATE}?raw")
        return answer.content if answer.status_code == 200 else None

    def is_locked(self) -> bool:
        answer = self.client.get(f"/v1/kv/{STATE}/.lock")
        return answer.status_code == 200 and "Session" in answer.json()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    consul = Consul(tmp_path_factory.mktemp("consul"))
    consul.start()
    yield consul
    consul.stop()


@pytest.fixture(scope="module")
def client(server: Consul) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def consul(place: Place, server: Consul, client: httpx.Client) -> OwnConsul:
    client.delete("/v1/kv/cts?recurse")
    # With another workspace Terraform is pickier about one that doesn't exist yet.
    client.put("/v1/kv/cts/terraform-env:other", content=b"{}")
    return OwnConsul(place, server, client)


@pytest.fixture(params=["s3", "consul"])
def backend(request: pytest.FixtureRequest, place: Place) -> Stack:
    if request.param == "s3":
        return Stack(place)
    found: OwnConsul = request.getfixturevalue("consul")
    return found


def test_the_second_of_two_builds_waits_and_then_leaves_the_state_alone(
    backend: Stack,
) -> None:
    place = backend.place
    first = backend.archive("run-1", HOLDING)
    builds = place.start(first)
    until((first / "running").exists)
    before = backend.state()
    assert place.build(backend.archive("run-2", ONE), "project:2", minutes=SOON) == 0
    result = place.result("run-2")
    assert (result["status"], result["retryable"]) == ("busy", True)
    assert "the state is locked by " in result["error"]
    assert "expected to release it" in result["because"]
    assert place.record("run-2", "applying") is None
    assert (backend.state(), backend.is_locked()) == (before, True)
    (first / "go").touch()
    builds.end()
    assert place.result("run-1")["status"] == "applied"
    assert place.build(backend.archive("run-3", HOLDING + ONE), "project:3") == 0
    assert backend.names() == ["one", "slow"]
    assert not backend.is_locked()


def test_a_build_goes_on_as_soon_as_the_lock_is_released(backend: Stack) -> None:
    place = backend.place
    first = backend.archive("run-1", HOLDING)
    holds = place.start(first)
    until((first / "running").exists)
    waits = place.start(backend.archive("run-2", HOLDING + ONE), "project:2")
    until(lambda: "state lock" in place.log("run-2") or "failed to lock" in place.log("run-2"))
    (first / "go").touch()
    holds.end()
    waits.end()
    assert [place.result(run)["status"] for run in ("run-1", "run-2")] == ["applied", "applied"]
    assert backend.names() == ["one", "slow"]


def test_a_build_that_is_stopped_while_it_waits_is_not_busy(backend: Stack) -> None:
    place = backend.place
    first = backend.archive("run-1", HOLDING)
    place.start(first)
    until((first / "running").exists)
    waits = place.start(backend.archive("run-2", ONE), "project:2")
    until(lambda: "state lock" in place.log("run-2") or "failed to lock" in place.log("run-2"))
    waits.terminate()
    waits.end()
    result = place.result("run-2")
    assert result["status"] == "errored"
    assert "the build was stopped" in result["error"]


@pytest.mark.slow
def test_consul_frees_the_lock_of_a_build_that_was_killed_while_the_next_one_waits(
    consul: OwnConsul,
) -> None:
    archive = consul.archive("run-1", HOLDING)
    process = consul.place.start(archive)
    until((archive / "running").exists)
    kill(process)
    assert consul.place.build(consul.archive("run-2", ONE), "project:2") == 0
    assert consul.place.result("run-2")["status"] == "applied"
    assert consul.names() == ["one"]
    assert not consul.is_locked()


def test_a_state_in_consul_has_the_tasks_workspace(consul: OwnConsul) -> None:
    place = consul.place
    assert place.build(consul.archive("run-1", ONE)) == 0
    assert consul.keys() == ["cts/terraform-env:other", STATE]
    assert consul.names() == ["one"]
    assert place.build(consul.archive("run-2", ONE), "project:2") == 0
    assert place.result("run-2")["status"] == "unchanged"


def test_a_state_that_could_not_be_stored_in_consul_is_pushed_by_the_next_run(
    consul: OwnConsul,
) -> None:
    place = consul.place
    assert place.build(consul.archive("run-1", ONE)) == 0
    state = json.loads(consul.state() or b"")
    lost = state | {"serial": state["serial"] + 1, "resources": []}
    place.s3.objects[f"work/unpushed/{TASK}"] = b"run-0"
    place.s3.objects[f"work/runs/{TASK}/run-0/errored.tfstate"] = json.dumps(lost).encode()
    assert place.build(consul.archive("run-2", ""), "project:2") == 0
    assert consul.names() == []
    assert "the state that run run-0 could not store is stored now" in place.log("run-2")
    assert f"work/unpushed/{TASK}" not in place.s3.objects


def test_a_lost_state_waits_for_the_lock_too(place: Place) -> None:
    first = place.archive("run-1", HOLDING)
    place.start(first)
    until((first / "running").exists)
    lost = {"version": 4, "serial": 9, "lineage": "x", "outputs": {}, "resources": []}
    lost["terraform_version"] = "1.11.4"
    place.s3.objects[f"work/unpushed/{TASK}"] = b"run-0"
    place.s3.objects[f"work/runs/{TASK}/run-0/errored.tfstate"] = json.dumps(lost).encode()
    assert place.build(place.archive("run-2", ONE), "project:2", minutes=SOON) == 0
    assert place.result("run-2")["status"] == "busy"
    assert f"work/unpushed/{TASK}" in place.s3.objects


def test_an_inspection_leaves_nothing_behind(consul: OwnConsul) -> None:
    place = consul.place
    assert place.build(consul.archive("run-1", ONE, inspect=True)) == 0
    result = place.result("run-1")
    assert (result["status"], result["counts"]["add"]) == ("planned", 1)
    assert consul.keys() == ["cts/terraform-env:other"]
    assert place.build(consul.archive("run-2", ONE), "project:2") == 0
    stored = consul.state()
    two = consul.archive("run-3", ONE + ONE.replace("one", "two"), inspect=True)
    assert place.build(two, "project:3") == 0
    assert place.result("run-3")["counts"] == {"add": 1, "change": 0, "destroy": 0}
    assert (consul.state(), consul.is_locked()) == (stored, False)
    assert place.record("run-3", "applying") is None


S3_ERROR = """Error: Error acquiring the state lock

Error message: operation error S3: PutObject, https response error
StatusCode: 412, RequestID: , HostID: , api error PreconditionFailed:
PreconditionFailed
Lock Info:
  ID:        24b5fe5c-857a-5291-390d-76f3c4b3ef37
  Path:      state/tasks/web/terraform.tfstate
  Operation: OperationTypeApply
  Who:       root@build
  Version:   1.11.4
  Created:   2026-11-29 10:06:27.828410358 +0000 UTC
  Info:


Terraform acquires a state lock to protect the state from being written
"""
CONSUL_ERROR = """Error: {opening} state: failed to lock state in Consul: Lock Info:
  ID:        01407d69-db18-cad1-57fb-b8f090a96db0
  Path:      cts/terraform-env:web
  Operation: OperationTypeApply
  Who:       root@build
  Version:   1.11.4
  Created:   2026-11-29 10:06:41.508434763 +0000 UTC
  Info:      consul session: 01407d69-db18-cad1-57fb-b8f090a96db0
"""
OUTAGE = """Error: Error acquiring the state lock

Error message: operation error S3: PutObject, exceeded maximum number of
attempts, 5, https response error StatusCode: 503
"""


@pytest.mark.parametrize(
    ("error", "lock"),
    [
        (S3_ERROR, "24b5fe5c-857a-5291-390d-76f3c4b3ef37"),
        (CONSUL_ERROR.format(opening="Error loading"), "01407d69-db18-cad1-57fb-b8f090a96db0"),
        (CONSUL_ERROR.format(opening="error loading"), "01407d69-db18-cad1-57fb-b8f090a96db0"),
    ],
    ids=["s3", "consul-init", "consul-plan"],
)
def test_who_holds_the_lock_is_told(error: str, lock: str) -> None:
    busy = busy_from(error)
    assert busy is not None
    assert "locked by root@build since 2026-11-29 10:06:" in str(busy)
    assert f"(OperationTypeApply, {lock})" in str(busy)


NESTED = """
resource "terraform_data" "one" {
  provisioner "local-exec" { command = "echo x >> applied; cat locked >&2; exit 1" }
}
"""


def test_what_a_module_says_of_another_lock_is_a_failure_of_the_module(place: Place) -> None:
    """Such as a Terraform that it runs itself. Its apply has begun, and is not begun anew."""
    archive = place.archive("run-1", NESTED)
    (archive / "locked").write_text(S3_ERROR)
    assert place.build(archive, minutes=SOON) == 1
    assert place.result("run-1")["status"] == "errored"
    assert (archive / "applied").read_text() == "x\n"


def test_a_build_that_is_stopped_once_terraform_has_found_the_lock_is_not_busy() -> None:
    stop = Stop(60)

    def locked(*_: str, codes: object) -> Ended:
        stop.ask("the build was stopped")
        raise RunError(S3_ERROR)

    with pytest.raises(RunError, match="because the build was stopped") as error:
        LockWait(stop).run(locked, "plan")
    assert not isinstance(error.value, Busy)


@pytest.mark.parametrize("error", [OUTAGE, "Error: no such firewall", "ID: 7\nWho: somebody"])
def test_what_is_no_held_lock_is_not_busy(error: str) -> None:
    assert busy_from(error) is None
