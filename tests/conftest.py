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
