"""Metrics are read from logs as CloudWatch reads them."""

import json

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from local.emf import Sample, samples, series


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> str:
    metrics = EphemeralMetrics(namespace="cts", service="announced")
    metrics.set_default_dimensions(stack="mine")
    metrics.add_metric("RunsFailed", "Count", 1)
    metrics.add_metric("RunSeconds", "Seconds", 2.5)
    metrics.add_metric("RunSeconds", "Seconds", 4)
    metrics.flush_metrics()
    return capsys.readouterr().out


OURS = {"service": "announced", "stack": "mine"}


def test_what_powertools_writes_is_read(line: str) -> None:
    found = list(samples(f"START\n{line}\nEND"))
    assert [(each.name, each.value) for each in found] == [
        ("RunsFailed", 1.0),
        ("RunSeconds", 2.5),
        ("RunSeconds", 4.0),
    ]
    assert all((each.namespace, each.dimensions) == ("cts", OURS) for each in found)
    assert found[0].at == json.loads(line)["_aws"]["Timestamp"] / 1000


def test_a_series_is_of_one_metric_with_exactly_its_dimensions() -> None:
    found = [Sample(n, "cts", "Views", OURS if n else {"stack": "mine"}, 7) for n in range(3)]
    found.append(Sample(9, "other", "Views", OURS, 7))
    assert series(found, "cts", "Views", OURS) == [(1, 7), (2, 7)]


@pytest.mark.parametrize(
    "text", ["", "plain", '{"_aws": {"Timest', '{"message": "about \\"_aws\\""}']
)
def test_lines_without_metrics_are_skipped(text: str) -> None:
    assert list(samples(text)) == []
