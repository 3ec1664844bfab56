"""What all tests share."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Before their import, so that a failure says what differs.
pytest.register_assert_rewrite("tests.e2e.faults", "tests.e2e.world")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "cts")

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Coverage makes what is slow take three times as long, and the other tests get there.
    pytest-cov's own marker `no_cover` has no effect in a worker."""
    tracer = sys.gettrace()
    if item.get_closest_marker("slow"):
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
