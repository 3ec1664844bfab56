"""The warm lane: runs that the function `Executor` executes."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.faults import STEPS, STEPS_FILES, change, gate, inject, struck, watch
from tests.e2e.world import task
from tests.template.written import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cts.run.model import Run
    from tests.e2e.world import World

PROGRAM = "$(cut -d' ' -f4 /proc/$PPID/stat)"
"""The process ID of the run's program, in a command that Terraform runs."""


def lanes(runs: Iterable[Run]) -> list[str]:
    return [run.driver for run in runs]


def publish_warm(world: World, *names: str, lane: str = "warm") -> None:
    """Tasks with the module `steps`, each watching the service of its name, after their first
    run."""
    text = "".join(task(name, name, module=STEPS, lane=lane) for name in names)
    world.publish({**STEPS_FILES, f"{names[0]}.hcl": text})
    for name in names:
        world.applied_right(name, name)


def log_of(world: World, run: Run) -> str:
    body = world.record(run, "log")
    assert body is not None
    return body.decode()


def test_a_task_moves_to_the_warm_lane_once_it_is_known_what_it_needs(world: World) -> None:
    world.publish({"moves.hcl": task("moves", "moves", lane="auto")})
    world.applied_right("moves")
    for number in range(2):
        world.catalog.register(f"moves-{number}", "moves", f"10.1.0.{number}", 80)
        world.applied_right("moves", "moves")
    runs = world.runs("moves")
    assert lanes(runs) == ["terraform", "executor", "executor"]
    assert runs[0].lane_why == "no run has shown yet what the task needs"
    told = world.events("RunFinished", task="moves")
    assert [each["detail"]["lane"] for each in told] == ["build", "warm", "warm"]


def test_a_push_that_changes_the_lane_runs_nothing(world: World) -> None:
    for lane in ("warm", "build", "auto", "warm"):
        world.publish({"changed.hcl": task("changed-lane", "changed-lane", lane=lane)})
        world.applied_right("changed-lane")
    assert lanes(world.runs("changed-lane")) == ["executor"]
    world.catalog.register("changed-lane-1", "changed-lane", "10.1.1.1", 80)
    world.applied_right("changed-lane", "changed-lane")
    assert lanes(world.runs("changed-lane")) == ["executor", "executor"]


def test_a_second_invocation_does_nothing(world: World) -> None:
    publish_warm(world, "doubled")
    held, seen = gate(world, "doubled"), watch(world, "doubled")
    change(world, "doubled", held.step)
    world.until(held.reached, "the apply to be under way")
    [run] = seen.runs()
    asked = {"task": run.task, "run": run.id, "folder": run.folder}
    started = world.record(run, "started")
    answer = invoked(world, asked)
    assert answer == {"code": 0}
    assert world.record(run, "started") == started
    held.open()
    seen.ends_well("applied")


def invoked(world: World, asked: dict[str, Any]) -> Any:
    name = f"{world.stack.name}-executor"
    answer = world.client("lambda").invoke(FunctionName=name, Payload=json.dumps(asked).encode())
    return json.loads(answer["Payload"].read())


def test_an_event_that_is_lost_is_missed_by_nobody(world: World) -> None:
    publish_warm(world, "unheard")
    seen = watch(world, "unheard")
    lost = inject(
        world, on="delivery", do="drop", detail_type="Object Created", target="Tracker", times=0
    )
    change(world, "unheard")
    struck(world, lost)
    seen.ends_well("applied")
    world.stack.clear_faults()


def test_a_program_that_is_killed_has_ended_and_the_next_run_goes_on(world: World) -> None:
    publish_warm(world, "killed", lane="auto")
    change(world, "killed")
    world.applied_right("killed", "killed")
    seen = watch(world, "killed")
    change(world, "killed", f"kill -9 {PROGRAM}; sleep 60")
    [first] = seen.ended(1)
    assert first.driver == "executor"
    assert first.end is not None
    assert (first.end.error or "").endswith("KILLED during its apply, without a result")
    change(world, "killed")
    runs = seen.ended(2)
    world.applied_right("killed", "killed")
    assert runs[1].driver == "terraform"
    assert runs[1].lane_why == f"run {first.id} failed in the warm lane"
    assert "released the state lock that run" in log_of(world, runs[1])


def test_nothing_of_a_run_is_left_for_the_next_task(world: World) -> None:
    """Its files, in its folder and outside, its environment, and its processes."""
    publish_warm(world, "leaves", "looks")
    found = world.stack.folder / "found"
    sandbox = "$(dirname $(dirname $TMPDIR))"
    secret = "canary-$(echo secret)"
    left = f"echo {secret} > $TMPDIR/own; echo {secret} > {sandbox}/stray; chmod 0 {sandbox}/stray"
    stays = f"CANARY={secret} setsid sleep 600 > /dev/null 2>&1 &"
    change(world, "leaves", f"{left}; {stays}")
    world.applied_right("leaves", "leaves")
    looks = (
        f"grep -rl canary-secre[t] {sandbox} >> {found}; "
        f"grep -la canary-secre[t] /proc/[0-9]*/environ >> {found}; "
        f"ls {sandbox} >> {found}"
    )
    change(world, "looks", looks)
    world.applied_right("looks", "looks")
    assert found.read_text() == "tasks\n"


@contextmanager
def capped(world: World, cap: int) -> Iterator[None]:
    """A stack that lets `cap` runs build at once; another number than by default."""
    default = TEMPLATE["Parameters"]["Concurrency"]["Default"]
    world.stack.redeploy({"Concurrency": str(cap)})
    try:
        yield
    finally:
        world.stack.redeploy({"Concurrency": str(default)})


@pytest.mark.parametrize(("count", "cap"), [(6, 3), pytest.param(30, 12, marks=pytest.mark.soak)])
def test_no_more_run_at_once_than_the_cap_both_lanes_counted(
    world: World, count: int, cap: int
) -> None:
    with capped(world, cap):
        no_more_run_at_once(world, count, cap)


def no_more_run_at_once(world: World, count: int, cap: int) -> None:
    names = [f"many-{number}" for number in range(count)]
    texts = [
        task(name, "many", module=STEPS, lane=("warm", "build")[number % 2])
        for number, name in enumerate(names)
    ]
    world.publish({**STEPS_FILES, "many.hcl": "".join(texts)})
    for name in names:
        world.applied_right(name)
    held = gate(world, "many")
    change(world, "many", held.step)

    def waiting() -> list[str]:
        """Those that run, once each of the others has been told to wait."""
        states = [world.state(name) for name in names]
        running = [state.task for state in states if state.running]
        queued = [state for state in states if state.queued_since]
        return running if len(running) + len(queued) == count else []

    assert len(world.until(waiting, "each task to run or to wait for a slot")) == cap
    held.open()
    for name in names:
        world.applied_right(name, "many")
    runs = [world.runs(name)[-1] for name in names]
    assert {*lanes(runs)} == {"executor", "terraform"}
    assert most_at_once(runs) <= cap


def most_at_once(runs: list[Run]) -> int:
    """By their own clocks: a run holds its slot from before it starts until after it has ended."""
    steps: list[tuple[datetime, int]] = []
    for run in runs:
        assert run.end is not None
        times = run.end.times
        steps += [
            (datetime.fromisoformat(times["started"]), 1),
            (datetime.fromisoformat(times["ended"]), -1),
        ]
    count = most = 0
    for _, step in sorted(steps):
        count += step
        most = max(most, count)
    return most
