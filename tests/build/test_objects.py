"""What builds that end early leave on a device, through the test provider: its objects are files,
so that those which no state knows can be seen."""

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from local.provider.mirror import SOURCE
from tests.build.conftest import STATE, Place, kill, until
from tests.build.test_execute import LOCK

pytestmark = pytest.mark.slow

ROUNDS = [
    pytest.param(0, id="once"),
    *(pytest.param(number, id=f"soak-{number}", marks=pytest.mark.soak) for number in range(1, 51)),
]
NAMES = ("a", "b", "c", "d")
MAIN = """
terraform {
  required_providers {
    files = {
      source = "%s"
    }
  }
}
provider "files" {
  device = "%s"
  delay  = %s
}
resource "files_object" "one" {
  for_each = %s
  name     = each.key
  content  = each.value
}
"""


def main(device: Path, objects: dict[str, str], delay: float = 0) -> str:
    return MAIN % (SOURCE, device, delay, json.dumps(objects))


def held(device: Path) -> dict[str, tuple[str, str]]:
    """ID -> name and content."""
    found = [json.loads(file.read_text()) for file in device.glob("*.json")]
    return {each["id"]: (each["name"], each["content"]) for each in found}


def known(place: Place) -> dict[str, str]:
    """ID -> name, of what the stored state has."""
    state = json.loads(place.s3.objects.get(STATE, b'{"resources": []}'))
    found = [i["attributes"] for r in state["resources"] for i in r["instances"]]
    return {each["id"]: each["name"] for each in found}


def test_a_build_that_is_stopped_leaves_no_object_without_state(
    place: Place, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    process = place.start(place.archive("run-1", main(device, dict.fromkeys(NAMES, "1"), delay=2)))
    # One second before Terraform is told of them.
    until(lambda: held(device))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert place.result("run-1")["status"] == "errored"
    assert set(known(place)) == set(held(device)) != set()
    assert LOCK not in place.s3.objects


@pytest.mark.parametrize("number", ROUNDS)
def test_after_a_build_was_killed_the_next_run_makes_what_is_missing(
    number: int, request: pytest.FixtureRequest, place: Place, tmp_path: Path
) -> None:
    seed = request.config.getoption("randomly_seed", 0)
    chance, device = Random(f"{seed} {number}"), tmp_path / "device"
    before = {name: "1" for name in NAMES if chance.random() < 0.4}
    after = {name: chance.choice("12") for name in NAMES if chance.random() < 0.8} | {"e": "1"}
    if before:
        assert place.build(place.archive("run-1", main(device, before))) == 0

    archive = place.archive("run-2", main(device, after, delay=0.4))
    moment = some_moment(chance, place, device)
    process = place.start(archive)
    until(lambda: moment() or process.poll() is not None)
    kill(process)
    place.s3.fault = lambda *_: None
    former = [{"run": "run-2", "ended_at": datetime.now(UTC).isoformat()}]
    lost = held(device).keys() - known(place).keys()

    assert place.build(place.archive("run-3", main(device, after), former=former)) == 0
    assert LOCK not in place.s3.objects
    objects, state = held(device), known(place)
    assert sorted(objects[each] for each in state) == sorted(after.items())
    assert objects.keys() - state.keys() == lost


def some_moment(chance: Random, place: Place, device: Path) -> Callable[[], bool]:
    """A condition that comes true while a build runs: one of its requests, most often, or a change
    on the device, which is half done then."""
    if chance.random() < 0.4:
        requests, seen = chance.randint(1, 24), len(place.s3.seen)
        return lambda: len(place.s3.seen) - seen >= requests
    changes, state = chance.randint(1, 3), snapshot(device)
    return lambda: len(snapshot(device) ^ state) >= changes


def snapshot(device: Path) -> set[tuple[str, str]]:
    return {(each, content) for each, (_, content) in held(device).items()}
