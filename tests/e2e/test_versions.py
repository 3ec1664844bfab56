"""Tasks with versions of Terraform of their own, which they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import tools
from tests.e2e.world import task

if TYPE_CHECKING:
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e

OLD, NEW = "1.9.8", "1.15.5"


def with_version(name: str, version: str) -> str:
    """The service of the same name triggers it. Its runs are builds."""
    plain = task(name, name).rstrip()
    options = f'serverless {{\n  lane = "build"\n  terraform_version = "{version}"\n}}'
    return f"{plain.removesuffix('}')}{options}\n}}\n"


def versions(world: World, name: str, count: int = 1) -> list[str | None]:
    """What its runs worked with, once there are so many."""
    world.until(lambda: len(world.runs(name)) >= count, f"run {count} of task {name}")
    return [run.end.terraform for run in world.applied_right(name, name) if run.end]


def test_a_task_keeps_its_version_until_its_configuration_says_another(world: World) -> None:
    for version in (OLD, NEW):
        tools.terraform_release(version)
    of_stack = tools.version_of(tools.terraform())
    names = ("old", "new", "plain")
    for name in names:
        world.catalog.register(f"{name}-1", name, "10.2.0.1", 80)
    first = {"old.hcl": with_version("old", OLD), "new.hcl": with_version("new", NEW)}
    assert world.publish({**first, "plain.hcl": task("plain", "plain")}).published
    assert {name: versions(world, name) for name in names} == {
        "old": [OLD],
        "new": [NEW],
        "plain": [of_stack],
    }
    # Without a version, it goes on with what it has applied with, and so does one of the stack.
    assert world.publish({"old.hcl": task("old", "old", lane="build")}).published
    assert versions(world, "old", 2) == [OLD, OLD]
    assert world.state("old").terraform == f"terraform {OLD}"
    assert world.state("plain").terraform == f"terraform {of_stack}"
    assert world.publish({"old.hcl": with_version("old", NEW)}).published
    assert versions(world, "old", 3) == [OLD, OLD, NEW]
    # A person says otherwise.
    told = world.cts("upgrade-terraform", "plain", NEW)
    assert told.returncode == 0, told.stderr
    assert world.cts("run", "plain", "--wait").returncode == 0
    assert versions(world, "plain", 2) == [of_stack, NEW]
