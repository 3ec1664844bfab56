"""What all tests share."""

import os

import pytest
from hypothesis import settings

# Before their import, so that a failure says what differs.
pytest.register_assert_rewrite("tests.e2e.faults", "tests.e2e.world")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "cts")

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage makes what is slow take more than twice as long, and the other tests get there."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker("no_cover")
