"""Hundreds of tasks over thousands of views: published in seconds, taken over without a loss."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import running
from tests.e2e.size import Size, Tasks
from tests.e2e.world import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

PUBLISHED_WITHIN = 10.0
"""Seconds from the put of the bundle, on a machine with nothing else to do."""
FEW, MANY = 10, 500


@pytest.fixture(
    params=[pytest.param(FEW, id="10"), pytest.param(MANY, marks=pytest.mark.soak, id="500")]
)
def tasks(request: pytest.FixtureRequest) -> Tasks:
    return Tasks(request.param, request.config.getoption("randomly_seed", 0))


@pytest.fixture
def size(tasks: Tasks, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Size]:
    """A stack whose builds end at once, with a service for each view."""
    # Over plain HTTP each view holds a connection, for both pollers of a hand-over.
    connections = {"http_max_conns_per_client": 3 * len(tasks.services)}
    with running(
        tmp_path, {"Concurrency": "20"}, ticking=False, lane="build", consul={"limits": connections}
    ) as world:
        world.stack.build_settings(instant=1, concurrent=100)
        size = Size(world)
        request.node.user_properties.append(("figures", size.figures))
        size.figures["tasks, views"] = f"{len(tasks.names)}, {len(tasks.services)}"
        for service in tasks.services:
            size.change(service)
        yield size


def test_a_large_push_is_published_in_time_and_only_what_changed_runs(
    tasks: Tasks, size: Size
) -> None:
    in_time = PUBLISHED_WITHIN if len(tasks.names) == MANY else PATIENCE
    assert size.publish("first push", tasks.text) < in_time
    size.settle("first push")
    size.tell_first_reading("first push")
    assert size.ran() == Counter(tasks.names)

    second, before = tasks.second(), size.runs()
    with size.changing(second.moving):
        assert size.publish("second push", second.text) < in_time
        size.taken_over("second push")
    size.settle("second push")
    assert set(size.ran(before)) == second.touched
    size.tell_memory()
