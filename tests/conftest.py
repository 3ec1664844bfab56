"""What all tests share."""

import os

import pytest

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "cts")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")
