"""What can go wrong in the sandboxes of the warm lane. What may happen in both lanes is in the
other tables of faults."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.e2e.faults import ROUNDS, change, gate, inject, of, publish, struck, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.faults import Chance, Watched
    from tests.e2e.world import World

pytestmark = pytest.mark.e2e
in_rounds = pytest.mark.parametrize("chance", ROUNDS, indirect=True)

SANDBOX = "$(dirname $(dirname $TMPDIR))"
"""Its temporary folder, in a command that Terraform runs."""
UNLIMITED = -1


@pytest.fixture(scope="module", autouse=True)
def tasks(world: World) -> None:
    names = [of(name, "warm") for name in ("any", "moment", "reused", "full", "left", "right")]
    publish(world, {name: name for name in names})


def ends_well_after(task: Watched, most: int = 2) -> int:
    """Wait until the task is in line. How many of its runs failed: fewer than the most that there
    may be."""
    task.world.applied_right(task.task, task.service)
    *failed, last = task.runs()
    assert len(failed) < most
    assert last.status.succeeded, "or the one before has stored the state that it made"
    task.ends_well(*["errored"] * len(failed), last.status.value)
    return len(failed)


@in_rounds
def test_a_sandbox_lost_before_its_run_began_is_heard_of(world: World, chance: Chance) -> None:
    task = watch(world, of("any", "warm"))
    point = chance.pick(
        "lost",
        {"caller": "Executor", "phase": "before"},
        {"caller": "Executor", "phase": "after"},
        {"caller": "build", "resource": "/started", "phase": "before"},
    )
    kill = inject(world, do="kill", **point)
    change(world, task.service)
    struck(world, kill)
    first, _ = task.ends_well("errored", "applied")
    assert first.end is not None
    assert "ended with status KILLED before its first command" in (first.end.error or "")


@in_rounds
def test_a_sandbox_is_lost_at_any_moment(world: World, chance: Chance) -> None:
    task = watch(world, of("moment", "warm"))
    seconds = chance.seconds("after it began", 0.3, 0.0, 2.0)
    kill = inject(
        world, caller="build", resource="/started", phase="after", do="kill", seconds=seconds
    )
    change(world, task.service)
    struck(world, kill)
    ends_well_after(task)


@pytest.mark.soak
@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("caller", ["Executor", "build"])
def test_a_sandbox_lost_at_any_call_costs_one_more_run(
    world: World, caller: str, phase: str, record_property: Callable[[str, object], None]
) -> None:
    """At the first call that is made for a run, at the second, and so on, until none is left."""
    task = watch(world, of("any", "warm"))
    failed, lost_at = 0, {f"{phase} each call of": caller}
    told = {"fault": "a sandbox lost at any call costs one more run", "round": 0, "at": lost_at}
    record_property("chance", told)
    for nth in count(1):
        task = watch(world, task.task)
        kill = inject(world, caller=caller, phase=phase, do="kill", nth=nth)
        change(world, task.service)
        failed += ends_well_after(task)
        [rule] = [each for each in world.stack.faults() if each["id"] == kill]
        world.stack.clear_faults()
        if not rule["fired"]:
            break
        lost_at["calls"] = str(nth)
    assert failed >= {"Executor": 1, "build": 5}[caller]


@in_rounds
def test_a_sandbox_that_is_used_again_after_a_crash_has_none_of_its_files(
    world: World, chance: Chance
) -> None:
    task, held = watch(world, of("reused", "warm")), gate(world, "reused")
    found, script = (world.stack.folder / f"{name}-{chance.round}" for name in ("found", "script"))
    script.write_text(f"""
ls -A {SANDBOX} >> {found}
find {SANDBOX} -name 'half*' >> {found}
touch {SANDBOX}/half $TMPDIR/half $TMPDIR/.terraform/half
find $TMPDIR/.terraform -type f -exec truncate -s 7 {{}} +
{held.step}
""")
    change(world, task.service, f"sh {script}")
    world.until(held.reached, "the apply to begin")
    world.stack.kill("Executor")
    held.open()
    task.ends_well("errored", "applied")
    assert found.read_text() == "tasks\n" * 2


@in_rounds
def test_a_full_disk_costs_one_run_and_not_the_sandbox(world: World, chance: Chance) -> None:
    task = watch(world, of("full", "warm"))
    size = chance.pick("most bytes of a file", 100, 20_000)
    assert world.stack.fill_disks("Executor", size)
    try:
        change(world, task.service, "head -c 1000000 /dev/zero > $TMPDIR/large")
        [first] = task.ended(1)
    finally:
        world.stack.fill_disks("Executor", UNLIMITED)
    task.ends_well("errored", "applied")
    assert first.end is not None
    assert first.end.retryable


@in_rounds
def test_of_two_sandboxes_at_work_one_is_lost_and_the_other_goes_on(
    world: World, chance: Chance
) -> None:
    left, right = (watch(world, of(name, "warm")) for name in ("left", "right"))
    held, found = gate(world, "left"), world.stack.folder / f"sandboxes-{chance.round}"
    where = f"echo {SANDBOX} >> {found}"
    change(world, left.service, f"{where}; {held.step}")
    world.until(held.reached, "the first apply to begin")
    seconds = chance.seconds("lost after", 0.0, 0.0, 1.0)
    resource = f"runs/{right.task}/"
    kill = inject(
        world, caller="build", action="PutObject", resource=resource, nth=2, phase="after",
        do="kill", seconds=seconds,
    )  # fmt: skip
    change(world, right.service, where)
    struck(world, kill)
    ends_well_after(right)
    assert left.runs()[-1].status == "pending"
    held.open()
    left.ends_well("applied")
    first, *others = found.read_text().split()
    assert others
    assert first not in others
