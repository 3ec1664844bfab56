"""What can go wrong around an apply. One slot: a run that left it taken would stop all others."""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import running
from tests.e2e.faults import (
    ROUNDS,
    change,
    gate,
    in_each_lane,
    in_one_lane,
    inject,
    lane_of,
    names,
    of,
    only_in,
    publish,
    register,
    struck,
    watch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.faults import Chance
    from tests.e2e.world import World

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.parametrize("chance", ROUNDS, indirect=True),
]

TWO = ("first", "second")
"""Tasks of one service."""
ENDS_AS = {"build": ("FAULT", "FAILED"), "warm": ("KILLED",)}


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[World]:
    tasks = {
        name: service
        for service in names(request)
        for name in (two_of(service) if service.startswith("shared") else [service])
    }
    with running(tmp_path_factory.mktemp("stack"), {"Concurrency": "1"}) as world:
        publish(world, tasks)
        yield world


def two_of(service: str) -> list[str]:
    return [of(name, lane_of(service)) for name in TWO]


@in_each_lane("killed")
def test_the_lock_of_a_build_killed_while_it_applied_is_released(
    world: World, chance: Chance, name: str
) -> None:
    task, waiting = watch(world, name), gate(world, name)
    point = chance.pick(
        "killed after",
        {"action": "PutObject", "resource": "/applying", "nth": 1},
        {"action": "PutObject", "resource": ".tflock", "nth": 1},
        {"action": "PutObject", "resource": "/started", "nth": 1},
    )
    seconds = chance.seconds("and", 0.0, 0.0, 1.5)
    status = chance.pick("ends as", *ENDS_AS[lane_of(name)])
    kill = inject(
        world, caller="build", phase="after", do="kill", seconds=seconds, status=status, **point
    )
    change(world, name, waiting.step)
    struck(world, kill)
    killed = task.ended(1)[0]
    waiting.open()
    runs = task.ends_well("errored", "applied")
    assert killed.end is not None
    assert f"the build ended with status {status}" in (killed.end.error or "")
    if chance.round == 0:
        assert waiting.reached()
        log = world.record(runs[-1], "log") or b""
        assert f"released the state lock that run {killed.id} left" in log.decode()


@in_one_lane("locked")
def test_a_lock_that_somebody_else_holds_is_waited_for_and_never_released(
    world: World, chance: Chance, name: str
) -> None:
    """Terraform waits for it, in whichever lane."""
    who = chance.pick("held by", "somebody else", "ourselves, later")
    ourselves = f"{getpass.getuser()}@{os.uname().nodename}"
    holder = "anna@bastion" if who == "somebody else" else ourselves
    lock = {
        "Bucket": world.stack.outputs["StateBucket"],
        "Key": f"tasks/{name}/terraform.tfstate.tflock",
    }
    info = {
        "ID": "7c1f3c0e-0000-4000-8000-000000000000",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": holder,
        "Version": "1.11.4",
        # A lock that was taken after our last run has ended, whoever took it, is not that run's.
        "Created": (datetime.now(UTC) + timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        "Path": f"{lock['Bucket']}/tasks/{name}/terraform.tfstate",
    }
    s3 = world.client("s3")
    put = s3.put_object(**lock, Body=json.dumps(info).encode())
    task = watch(world, name)
    change(world, name)

    def waits() -> bool:
        logs = (world.record(run, "log") or b"" for run in task.runs())
        return any(b"Acquiring state lock" in log for log in logs)

    world.until(waits, "the run to wait for the lock")
    assert s3.head_object(**lock)["VersionId"] == put["VersionId"]
    s3.delete_object(**lock)
    task.ends_well("applied")


@in_one_lane("changed")
def test_changes_during_an_apply_are_one_more_run_after_it(
    world: World, chance: Chance, name: str
) -> None:
    """The poller does not know which lane a run took."""
    task, waiting = watch(world, name), gate(world, name)
    change(world, name, waiting.step)
    world.until(waiting.reached, "the apply to begin")
    former = world.expected(name)
    for _ in range(chance.pick("changes meanwhile", 1, 2, 3)):
        mark = world.mark()
        change(world, name)
        world.until(partial(world.events, "CatalogChanged", mark), "the change to be seen")
    waiting.open()
    runs = task.ends_well("applied", "applied")
    assert world.inputs(runs[0]) == former


@in_one_lane("halfway")
def test_an_apply_that_failed_half_way_is_undone_when_consul_goes_back(
    world: World, chance: Chance, name: str
) -> None:
    """What Terraform has applied does not depend on the lane."""
    register(world, name, 80)
    world.applied_right(name, name)
    before = world.expected(name)
    task, waiting = watch(world, name), gate(world, name)
    register(world, name, 81, f"{waiting.step}; exit 1")
    world.until(waiting.reached, "the apply to get half way")
    half_way = world.expected(name)
    match chance.pick("Consul goes back", "after the failure", "during the apply"):
        case "after the failure":
            waiting.open()
            task.ended(1)
            assert world.applied(name) == half_way
            register(world, name, 80)
        case _:
            register(world, name, 80)
            world.until(lambda: world.state(name).wanted, "the change to be seen")
            waiting.open()
    task.ends_well("errored", "applied")
    assert world.applied(name) == before


@only_in("build", "barred")
def test_an_account_that_may_run_no_builds_is_told_what_to_do(
    world: World, chance: Chance, name: str
) -> None:
    """Of CodeBuild; Lambda has no such limit."""
    task = watch(world, name)
    inject(
        world,
        action="StartBuild",
        do="refuse",
        code="AccountLimitExceededException",
        message="Cannot have more than 0 builds in queue for the account",
        times=0,
    )
    change(world, name)
    run = task.ended(1)[0]
    assert run.end is not None
    assert "open a case with AWS Support" in (run.end.error or "")
    assert run.gave_up
    world.stack.clear_faults()
    change(world, name)
    task.ends_well("errored", "applied")


@in_one_lane("shared")
def test_a_task_without_a_slot_waits_its_turn_and_then_runs(
    world: World, chance: Chance, name: str
) -> None:
    """It waits before it takes a lane."""
    service, two = name, two_of(name)
    tasks, waiting = [watch(world, name, service) for name in two], gate(world, service)
    change(world, service, waiting.step)
    world.until(waiting.reached, "the first apply to begin")
    states = [world.state(name) for name in two]
    world.until(lambda: any(world.state(name).queued_since for name in two), "one to queue")
    assert [state.running is not None for state in states].count(True) == 1
    assert sum(len(task.runs()) for task in tasks) == 1
    waiting.open()
    for task in tasks:
        task.ends_well("applied")
