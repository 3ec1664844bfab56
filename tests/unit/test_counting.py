"""What is counted is written at once, by the functions' own metrics."""

import json

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from cts.workflow.counting import count


def test_what_was_counted_is_written_before_it_is_cleared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = EphemeralMetrics(namespace="cts", service="announced")
    metrics.set_default_dimensions(stack="mine")
    for name in ("RunsFailed", "RunsSucceeded"):
        count(metrics, [(name, "Count", 1), ("RunSeconds", "Seconds", 2.5)])
        written = json.loads(capsys.readouterr().out)
        assert (written[name], written["RunSeconds"]) == ([1.0], [2.5])
        assert (written["stack"], written["service"]) == ("mine", "announced")
