"""Random histories of poller, runner, tracker and builds, with every fault that can be injected.

`tests/model` has the model. Seeds are fixed, so that this finds today what it found yesterday;
`make soak` tries fresh ones (MODEL_RUNS says how many, MODEL_SEED from where on), and `make mutate`
more of the fixed ones (MODEL_HISTORIES).
"""

import os
import secrets

import pytest

from cts.workflow import start
from tests.model.simulation import Simulation, fake_archive
from tests.model.state import Broken

HISTORIES = int(os.environ.get("MODEL_HISTORIES", "60"))
BATCHES = [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 15))]
"""Each takes every 15th history; `make unit` tries the first one only."""
STEPS = 70


@pytest.fixture(autouse=True)
def _archives_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "run_archive", fake_archive)


def broken(seed: int, steps: int = STEPS) -> str | None:
    try:
        Simulation(seed, steps).run()
    except Broken as error:
        return str(error)
    return None


def check(seed: int) -> None:
    if broken(seed) is None:
        return
    steps = next(n for n in range(STEPS + 1) if n == STEPS or broken(seed, n))
    traced = Simulation(seed, steps, trace=True)
    with pytest.raises(Broken) as error:
        traced.run()
    history = "\n".join(traced.trace or [])
    pytest.fail(f"{history}\n\nseed {seed}, {steps} steps: {error.value}")


@pytest.mark.parametrize("batch", BATCHES)
def test_when_changes_stop_every_task_is_in_line_or_says_why_not(batch: int) -> None:
    for seed in range(batch, HISTORIES, len(BATCHES)):
        check(seed)


@pytest.mark.soak
@pytest.mark.parametrize("batch", BATCHES)
def test_it_holds_for_fresh_histories_too(batch: int) -> None:
    first = int(os.environ.get("MODEL_SEED", secrets.randbelow(2**40)))
    runs = int(os.environ.get("MODEL_RUNS", "20000"))
    for seed in range(first + batch, first + runs, len(BATCHES)):
        check(seed)
