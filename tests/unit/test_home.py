"""A task whose driver or workspace changes must not begin with an empty state."""

from dataclasses import replace

import pytest

from cts.events import TaskHeld
from cts.run.home import at_home, home_of
from cts.run.model import End, RunStatus
from cts.run.person import ask, hold
from cts.run.place import PROGRAM, StatePlace, place, released
from cts.run.state import Done, Outcome, Reason, TaskState
from cts.workflow.settle import settle
from cts.workflow.start import StartOutcome
from tests.unit.system import System, system

ANN = "arn:aws:iam::111122223333:user/ann"
HOST = "app.terraform.io"
BUILDS, WORKSPACE, OTHER = "terraform", f"{HOST}/acme/net-web", f"{HOST}/acme/other-web"
ELSEWHERE = "tfe.example.com/acme/net-web"
NEW = TaskState("web")
APPLIED = End(RunStatus.APPLIED, apply_began=True)
PLANNED = End(RunStatus.PLANNED, apply_began=False)
CHANGES = [
    (BUILDS, WORKSPACE),
    (WORKSPACE, BUILDS),
    (WORKSPACE, OTHER),
    (WORKSPACE, ELSEWHERE),
    (BUILDS, f"{HOST}/acme/terraform"),
]


@pytest.mark.parametrize(
    ("state", "home"),
    [
        (NEW, ""),
        (replace(NEW, home=WORKSPACE, done=Done("web-1", "A", "A")), WORKSPACE),
        (replace(NEW, done=Done("web-1", "A", "A")), BUILDS),
        (replace(NEW, recent=(Outcome("web-1", True, 5.0),)), BUILDS),
        (replace(NEW, recent=(Outcome("web-1", False, 5.0),)), ""),
        (replace(NEW, place="consul", path="cts/terraform"), BUILDS),
    ],
)
def test_states_of_earlier_versions_are_those_of_builds(state: TaskState, home: str) -> None:
    assert home_of(state) == home


@pytest.mark.parametrize(("former", "home"), CHANGES)
def test_another_home_holds_the_task_until_it_is_released(former: str, home: str) -> None:
    held = at_home(replace(NEW, home=former), home, 10.0)
    assert (held.held and held.held.by, held.home) == (PROGRAM, former)
    for said in (former if "/" in former else home, "cts inspect web", "docs/hcp-terraform.md"):
        assert said in (held.hold or "")
    assert at_home(held, home, 20.0) == held
    after = released(held, ANN, 30.0)
    assert (after.hold, after.home) == (None, home)
    assert at_home(after, home, 40.0) == after
    assert at_home(after, former, 50.0).hold is not None


@pytest.mark.parametrize(("former", "home"), CHANGES)
def test_it_is_released_when_its_former_configuration_is_back(former: str, home: str) -> None:
    held = at_home(replace(NEW, home=former), home, 10.0)
    back = at_home(held, former, 20.0)
    assert (back.hold, back.home, back.holds[0].released_by) == (None, former, PROGRAM)


@pytest.mark.parametrize("home", [WORKSPACE, ELSEWHERE])
def test_a_home_that_was_stored_without_its_host_is_not_another_one(home: str) -> None:
    stored = replace(NEW, home="acme/net-web", done=Done("web-1", "A", "A"))
    assert at_home(stored, home, 10.0) == stored
    known = replace(stored, home=home)
    assert at_home(known, "acme/net-web", 10.0) == known, "of a generation of an earlier version"
    assert at_home(stored, OTHER, 10.0).hold is not None


def test_a_state_that_cts_left_in_consul_holds_a_task_of_hcp_terraform() -> None:
    found = place(NEW, StatePlace.CONSUL, "cts/terraform", 5.0)
    held = at_home(found, WORKSPACE, 10.0)
    assert "its Terraform state is kept by Consul, below cts/terraform" in (held.hold or "")
    after = released(held, ANN, 20.0)
    assert (after.hold, after.home) == (None, WORKSPACE)
    assert at_home(after, WORKSPACE, 30.0) == after


def test_a_third_home_is_not_the_one_that_a_release_is_for() -> None:
    held = at_home(replace(NEW, home=BUILDS), WORKSPACE, 10.0)
    again = at_home(held, OTHER, 20.0)
    assert OTHER in (again.hold or "")
    assert released(again, ANN, 30.0).home == OTHER


@pytest.mark.parametrize("home", [BUILDS, WORKSPACE])
def test_a_task_without_a_state_is_not_held(home: str) -> None:
    assert at_home(NEW, home, 10.0) == NEW


def test_who_releases_another_hold_has_not_moved_the_state() -> None:
    held = hold(replace(NEW, home=BUILDS), "why", ANN, 10.0)
    assert at_home(held, WORKSPACE, 20.0) == held
    after = released(held, ANN, 30.0)
    assert after.home == BUILDS
    assert at_home(after, WORKSPACE, 40.0).hold is not None


@pytest.mark.parametrize(("former", "home"), CHANGES)
def test_what_was_destroyed_may_be_created_anywhere(former: str, home: str) -> None:
    left = replace(NEW, home=former, recent=(Outcome("web-1", True, 5.0),), destroyed=True)
    for before in (left, at_home(replace(left, destroyed=False), home, 6.0)):
        after = at_home(replace(before, destroyed=True), home, 10.0)
        assert (after.hold, after.home) == (None, home)
        created = replace(after, destroyed=False)  # its first run has begun
        assert at_home(created, home, 20.0) == created
        assert at_home(created, former, 20.0).hold is not None


# ---- runs -----------------------------------------------------------------------------------


def ran(world: System, end: End, reason: Reason = Reason.PERSON) -> TaskState:
    wanted = ask(world.table.state("web"), world.clock(), "person", reason=reason)
    world.put(wanted)
    assert world.start("web") is StartOutcome.STARTED
    run, state = world.running("web"), world.table.state("web")
    settle(world.track_ports.settling, run, end, state)
    return world.table.state("web")


@pytest.mark.parametrize(
    ("end", "home"),
    [
        (APPLIED, BUILDS),
        (End(RunStatus.UNCHANGED, apply_began=False), BUILDS),
        (End(RunStatus.ERRORED, apply_began=True), BUILDS),
        (End(RunStatus.ERRORED, apply_began=False), ""),
        (End(RunStatus.BUSY, apply_began=False), ""),
    ],
)
def test_the_first_run_that_applies_says_where_the_state_is(end: End, home: str) -> None:
    assert ran(system(), end).home == home


@pytest.mark.parametrize("end", [PLANNED, End(RunStatus.ERRORED, apply_began=True, known=False)])
def test_a_plan_says_nothing_of_where_the_state_is(end: End) -> None:
    assert ran(system(), end, Reason.INSPECT).home == ""


@pytest.mark.parametrize(("former", "home"), CHANGES)
def test_the_runner_does_not_apply_with_an_empty_state(former: str, home: str) -> None:
    world = system()
    world.drivers["terraform-cloud"] = world.driver
    at(world, former)
    assert ran(world, APPLIED).home == former
    at(world, home)
    world.ask("web")
    assert world.start("web") is StartOutcome.NOT_DUE
    world.sweep()
    assert [told.by for told in world.bus.of(TaskHeld)] == [PROGRAM]
    assert ran(world, PLANNED, Reason.INSPECT).home == former
    world.put(released(world.table.state("web"), ANN, world.clock()))
    assert ran(world, APPLIED).home == home


def at(world: System, home: str) -> None:
    if home == BUILDS:
        world.task("web")
    else:
        world.task("web", driver="terraform-cloud", workspace=home)
