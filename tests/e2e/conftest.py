"""Stacks for end-to-end tests. Modules that ask for `world` share one, if they make none."""

from __future__ import annotations

from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest

from local.stack import Stack
from tests.e2e.faults import Chance, lane_of
from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LONGEST = (
    "test_doctor.py", "test_quiet.py", "test_faults_poller_gone.py",
    "test_faults_poller_killed.py", "test_faults_warm.py", "test_dashboard.py",
    "test_faults_silence.py", "test_consul_restart.py", "test_rest.py", "test_warm.py",
    "test_faults_apply.py", "test_faults_events.py", "test_publish_races.py",
    "test_task_commands.py", "test_moving_from_cts.py", "test_canary.py", "test_rest_errors.py",
    "test_hcp_terraform.py", "test_kinds.py", "test_push.py",
)  # fmt: skip
"""What takes longest comes first: a minute or more of real time, or many cold starts."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module is for one worker alone: what takes longest begins first, beside all the rest."""

    def rank(item: pytest.Item) -> int:
        is_long = "e2e" in item.path.parts and item.path.name in LONGEST
        return LONGEST.index(item.path.name) if is_long else len(LONGEST)

    items.sort(key=rank)


@contextmanager
def running(
    folder: Path,
    parameters: dict[str, str] | None = None,
    *,
    ticking: bool = True,
    consul: Mapping[str, object] | None = None,
    secure: bool = False,
    denials: bool = False,
    hcp: bool = False,
    lane: str = "warm",
) -> Iterator[World]:
    """A deployed stack. At its end: all events match their schemas, and no call of our functions or
    builds was denied, unless `denials` are what its tests are about.

    `ticking`: schedules are fired every few seconds; else they are on, in real time. `consul`:
    settings for Consul's configuration. `secure`: over HTTPS, with ACLs. `hcp`: with a test server
    for HCP Terraform's API. `lane`: of tasks that name none.
    """
    with Stack.start(
        folder,
        parameters=parameters,
        schedules=not ticking,
        consul=consul,
        secure=secure,
        hcp=hcp,
    ) as stack:
        world = World(stack, lane)
        if ticking:
            world.start_ticking()
        try:
            yield world
        finally:
            world.close()
        world.check_events()
        assert denials or world.denied() == []


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("stack")) as world:
        world.stop_ticking()
        yield world


@pytest.fixture(scope="module")
def world(shared: World) -> Iterator[World]:
    """Between modules nothing ticks, so that an idle stack takes no time from others."""
    shared.start_ticking()
    yield shared
    shared.stop_ticking()


@pytest.fixture
def chance(request: pytest.FixtureRequest, world: World) -> Iterator[Chance]:
    """How this round of a fault test (`faults.ROUNDS`) varies the fault. Takes all faults back."""
    seed = request.config.getoption("randomly_seed", 0)
    name = request.node.originalname
    if lane := lane_of(request.node.callspec.params.get("name", "")):
        name = f"{name} in the {lane} lane"
    chance = Chance(request.param, Random(f"{seed} {name} {request.param}"))
    told = {"fault": name, "round": request.param, "at": chance.told}
    request.node.user_properties.append(("chance", told))
    yield chance
    world.stack.clear_faults()
