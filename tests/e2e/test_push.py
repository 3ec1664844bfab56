"""A push is published whole or not at all, and what is wrong with it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.world import folder_of, task

if TYPE_CHECKING:
    from pathlib import Path

    from cts.terraform.definition import Current
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

SYNTAX = """task {
  name = "bad"
  module = "./modules/record"
  condition "services" names = ["bad"]
}
"""
OPTION = """task {
  name = "bad"
  module = "./modules/record"
  descripton = "a typing error"
  condition "services" {
    names = ["bad"]
  }
}
"""
MODULE = task("bad", "bad", module="./modules/recrod")


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("syntax", SYNTAX, 4, ["is not expected here", 'needs "="']),
        ("option", OPTION, 4, ["unknown option", "description"]),
        ("module", MODULE, 4, ["./modules/recrod", "./modules/record"]),
    ],
    ids=["syntax", "option", "module"],
)
def test_a_rejected_push_says_why_and_changes_nothing(
    world: World, tmp_path: Path, name: str, text: str, line: int, says: list[str]
) -> None:
    good = f"good-{name}"
    world.catalog.register(f"{good}-1", good, "10.0.0.1", 80)
    live = world.publish({f"{good}.hcl": task(good, good)}).number
    world.applied_right(good, good)
    before = world.mark()

    command = world.cts("push", str(folder_of(tmp_path, {**world.files, "bad.hcl": text})))

    assert command.returncode == 1, command.stderr
    [event] = world.until(lambda: world.events("ConfigRejected", before), "ConfigRejected")
    [problem] = event["detail"]["problems"]
    assert (problem["file"], problem["line"]) == ("bad.hcl", line)
    assert all(word in f"{problem['what']}; {problem['fix']}" for word in says)
    shown = " ".join((command.stdout + command.stderr).split())
    assert f"bad.hcl:{line}" in shown
    assert problem["what"] in shown
    assert problem["fix"] in shown
    assert _current(world).number == live
    world.catalog.register(f"{good}-1", good, "10.0.0.1", 81)
    assert len(world.applied_right(good, good)) == 2


def test_the_command_waits_until_a_good_push_is_published(world: World, tmp_path: Path) -> None:
    files = {**world.files, "fine.hcl": task("fine", "fine")}
    command = world.cts("push", str(folder_of(tmp_path, files)))
    assert command.returncode == 0, command.stderr
    assert "fine" in _current(world).added


def _current(world: World) -> Current:
    current = world.table.current()
    assert current is not None
    return current
