"""What the documents say of costs is computed, and stays within the goals."""

import pytest

from cost.__main__ import DOCUMENT, text
from cost.model import TASKS, Template, builds, month, template, warm


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == text(), "run `make cost`"


@pytest.mark.parametrize(("mode", "most"), [("live", 16.0), ("poll", 6.7)])
def test_ten_tasks_cost_little(mode: str, most: float) -> None:
    assert sum(month(template(), 10, mode).values()) < most


@pytest.mark.parametrize("mode", ["live", "poll"])
def test_more_tasks_cost_more_but_not_in_proportion(mode: str) -> None:
    sums = [sum(month(template(), tasks, mode).values()) for tasks in TASKS]
    assert sums == sorted(sums)
    assert sums[-1] < 2.5 * sums[0]


def test_what_is_in_the_template_is_paid_for() -> None:
    one = Template(dict.fromkeys(template().memory, 1.0), 1.0, 1, 1, 1, frozenset({"Views"}))
    found = month(one, 10, "live")
    assert (found["alarms"], found["dashboard"], found["secrets"]) == (0.10, 3.00, 0.40)
    assert found["metrics"] == 0.30
    assert found["poller"] == pytest.approx(35.1, abs=0.5)  # a GB for a whole month


def test_a_short_run_costs_less_in_the_warm_lane() -> None:
    assert warm(template(), 10) < builds(10) / 10
