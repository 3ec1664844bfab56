"""A state is moved between real Consul and the stack's bucket, and nothing is lost on the way."""

import json
from collections.abc import Iterator
from gzip import decompress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cts.build.errors import RunError
from cts.build.move import is_there
from local.consul import Consul
from tests.build.conftest import STATE, TASK, Place, kill, until

ROOT = 'terraform {\n  backend "consul" {\n    path = "cts/terraform"\n    gzip = true\n  }\n}\n'
KEY = f"cts/terraform-env:{TASK}"
SLOW = """
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "touch running; until [ -e go ]; do sleep 0.05; done" }
}
"""


@pytest.fixture(scope="module")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    made = Consul(tmp_path_factory.mktemp("consul"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def client(consul: Consul) -> Iterator[httpx.Client]:
    with consul.client() as client:
        yield client


class Moves:
    """Runs of a task of CTS's: of the task, and such that move its state."""

    def __init__(self, place: Place, consul: Consul, client: httpx.Client) -> None:
        self.place, self.consul, self.client, self.runs = place, consul, client, 0
        client.delete("/v1/kv/cts?recurse")
        client.put("/v1/kv/cts/terraform-env:other", content=b"{}")

    def archive(self, main: str, former: list[str] | None = None, **facts: object) -> Path:
        self.runs += 1
        ended = [{"run": each, "ended_at": "2099-01-01T00:00:00Z"} for each in former or ()]
        folder = self.place.archive(f"run-{self.runs}", "", former=ended)
        (folder / "main.tf").write_text(ROOT + main)
        known = json.loads((folder / "run.json").read_text())
        known |= {"consul_backend": True, "consul_address": self.consul.address, **facts}
        (folder / "run.json").write_text(json.dumps(known))
        return folder

    def applies(self, main: str) -> None:
        """As CTS does, in Consul."""
        archive = self.archive(main, state_bucket="", state_key="")
        assert self.place.build(archive) == 0, self.place.log(archive.name)

    def to(self, target: str) -> dict[str, Any]:
        archive = self.archive("", moves_to=target)
        self.place.build(archive)
        return self.place.result(archive.name)

    @property
    def in_consul(self) -> dict[str, Any] | None:
        answer = self.client.get(f"/v1/kv/{KEY}?raw")
        if answer.status_code != httpx.codes.OK:
            return None
        found: dict[str, Any] = json.loads(decompress(answer.content))
        return found

    @property
    def in_stack(self) -> dict[str, Any] | None:
        body = self.place.s3.objects.get(STATE)
        found: dict[str, Any] | None = json.loads(body) if body else None
        return found


@pytest.fixture
def moves(place: Place, consul: Consul, client: httpx.Client) -> Moves:
    return Moves(place, consul, client)


def one(value: int) -> str:
    return f'resource "terraform_data" "one" {{\n  input = {value}\n}}\n'


def same(first: dict[str, Any] | None, second: dict[str, Any] | None) -> bool:
    """Whatever their serials."""
    assert first
    assert second
    return {**first, "serial": 0} == {**second, "serial": 0}


def test_a_state_is_moved_with_lineage_and_serial_and_stays_in_consul(moves: Moves) -> None:
    moves.applies(one(1))
    left = moves.in_consul
    result = moves.to("stack")
    assert (result["status"], result["step"]) == ("moved", "done"), result
    assert moves.in_stack == moves.in_consul == left
    assert "terraform_data" not in moves.place.log(f"run-{moves.runs}")
    assert moves.place.record(f"run-{moves.runs}", "applying") is None


def test_the_way_back_and_again(moves: Moves) -> None:
    moves.applies(one(1))
    moves.to("stack")
    assert moves.to("consul")["status"] == "moved"
    assert same(moves.in_consul, moves.in_stack)
    moves.applies(one(2))
    changed = moves.in_consul
    assert moves.to("stack")["status"] == "moved"
    assert moves.in_stack == changed
    assert moves.to("stack")["status"] == "moved"
    assert moves.in_stack == changed


def test_into_a_consul_that_has_none(moves: Moves) -> None:
    moves.applies(one(1))
    moves.to("stack")
    moves.client.delete("/v1/kv/cts?recurse")
    assert moves.to("consul")["status"] == "moved"
    assert same(moves.in_consul, moves.in_stack)


def test_where_there_is_no_state_none_is_made(moves: Moves) -> None:
    for target in ("stack", "consul"):
        result = moves.to(target)
        assert (result["status"], result["retryable"]) == ("errored", False)
        assert "there is no state to move" in result["error"]
    assert (moves.in_consul, moves.in_stack) == (None, None)


def test_what_is_no_state_is_not_moved(moves: Moves) -> None:
    moves.place.s3.objects[STATE] = b"{}"
    result = moves.to("consul")
    assert "there is no readable state in the state bucket" in result["error"]
    assert moves.in_consul is None


def test_another_lineage_is_not_overwritten(moves: Moves) -> None:
    moves.applies(one(1))
    other = {**(moves.in_consul or {}), "lineage": "another"}
    moves.place.s3.objects[STATE] = json.dumps(other).encode()
    left = moves.in_consul
    result = moves.to("stack")
    assert (result["status"], result["retryable"]) == ("errored", False)
    assert "a state of another lineage (another): nothing was moved" in result["error"]
    assert (moves.in_stack, moves.in_consul) == (other, left)
    back = moves.to("consul")
    assert "a state of another lineage" in back["error"]
    assert (moves.in_stack, moves.in_consul) == (other, left)


@pytest.mark.parametrize("target", ["stack", "consul"])
def test_a_state_that_someone_works_on_in_consul_is_left_alone(moves: Moves, target: str) -> None:
    moves.applies(one(1))
    moves.to("stack")
    stack = moves.in_stack
    working = moves.archive(one(1) + SLOW, state_bucket="", state_key="")
    build = moves.place.start(working)
    until((working / "running").exists)
    result = moves.to(target)
    assert (result["status"], moves.in_stack) == ("busy", stack)
    (working / "go").touch()
    build.end()


@pytest.mark.parametrize("target", ["stack", "consul"])
def test_a_lock_in_the_bucket_is_respected(moves: Moves, target: str) -> None:
    moves.applies(one(1))
    moves.to("stack")
    lock = {"ID": "1", "Who": "ann@desk", "Operation": "apply", "Created": "2026-11-29T10:00:00Z"}
    moves.place.s3.objects[f"{STATE}.tflock"] = json.dumps(lock).encode()
    result = moves.to(target)
    assert result["status"] == "busy"
    assert "the state is locked: s3://state/" in result["error"]


def test_a_state_that_is_owed_is_stored_first(moves: Moves) -> None:
    moves.applies(one(1))
    moves.place.s3.objects[f"work/unpushed/{TASK}"] = b"run-1"
    result = moves.to("stack")
    assert "run the task first" in result["error"]
    assert moves.in_stack is None


def test_no_provider_is_needed(moves: Moves) -> None:
    moves.applies(one(1))
    state = moves.in_consul or {}
    [resource] = state["resources"]
    named = 'provider["registry.terraform.io/acme/none"]'
    state["resources"].append({**resource, "name": "fw", "type": "none_rule", "provider": named})
    moves.client.put(f"/v1/kv/{KEY}", content=json.dumps(state).encode())
    assert moves.to("stack")["status"] == "moved"
    assert len((moves.in_stack or {})["resources"]) == 2


@pytest.mark.parametrize("target", ["stack", "consul"])
def test_killed_at_any_time_it_can_be_repeated(moves: Moves, target: str) -> None:
    moves.applies(one(1))
    if target == "consul":
        moves.to("stack")
        moves.client.delete(f"/v1/kv/{KEY}")
    archive = moves.archive("", moves_to=target)
    build = moves.place.start(archive)
    until(lambda: (moves.in_stack if target == "stack" else moves.in_consul) is not None)
    kill(build)
    until(lambda: moves.to(target)["status"] == "moved")
    assert same(moves.in_consul, moves.in_stack)


# ---- the rule -----------------------------------------------------------------------------


def state(serial: int, lineage: str = "a", **more: object) -> dict[str, Any]:
    resources = [{"name": "x"}]
    return {"serial": serial, "lineage": lineage, "resources": resources, "outputs": {}, **more}


@pytest.mark.parametrize(
    ("theirs", "there"),
    [
        (None, False),
        (state(5), True),
        (state(6), True),
        (state(4), False),
        (state(4, resources=[]), False),
        (state(1, "b", resources=[]), False),
    ],
)
def test_whether_the_target_has_it_already(theirs: dict[str, Any] | None, there: bool) -> None:
    assert is_there(state(5), theirs) is there


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (state(4, "b"), "another lineage"),
        (state(1, "b", resources=[], outputs={"x": {}}), "another lineage"),
        (state(5, resources=[]), "a later state"),
        (state(9, resources=[]), "a later state"),
    ],
)
def test_what_must_not_be_lost(theirs: dict[str, Any], told: str) -> None:
    with pytest.raises(RunError, match=told):
        is_there(state(5), theirs)
