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
    for HCP Terraform's API. `lane`: of tasks that name none; in the warm lane a run takes less, and
    both lanes get the same archive.
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
