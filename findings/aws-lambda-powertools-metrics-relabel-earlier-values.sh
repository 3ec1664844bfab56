#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0 (PyPI).
#
# Guess: a metric that is added twice in one invocation with two units is refused, or is written with both; and
# metadata, which is for logs and not for metrics, leaves dimensions as they are.
# Seen: the last unit is written for all values: 1 second and 5 milliseconds become 1 and 5 milliseconds, without a
# warning. The resolution is the last one too, so one plain call takes high resolution away. Metadata with a
# dimension's name replaces that dimension's value, so the values are counted for something else.
# So give each metric one unit, in one place, and keep the names of metadata and dimensions apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "aws-lambda-powertools==3.37.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > emit.py <<'PY'
import contextlib
import io
import json

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricResolution, MetricUnit


def written(metrics):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        metrics.flush_metrics()
    record = json.loads(out.getvalue())
    [group] = record["_aws"]["CloudWatchMetrics"]
    [metric] = group["Metrics"]
    return record, metric


metrics = Metrics(namespace="demo", service="runner")
metrics.add_metric("Duration", MetricUnit.Seconds, 1, resolution=MetricResolution.High)
metrics.add_metric("Duration", MetricUnit.Milliseconds, 5)
record, metric = written(metrics)
print("values", record["Duration"], "unit", metric["Unit"], "resolution", metric.get("StorageResolution", 60))

metrics = Metrics(namespace="demo", service="runner")
metrics.add_dimension("task", "firewall")
metrics.add_metadata("task", "of run 7")
metrics.add_metric("Runs", MetricUnit.Count, 1)
record, metric = written(metrics)
print("dimension task:", record["task"])
PY
venv/bin/python emit.py > seen 2> warnings
cat seen
[ ! -s warnings ] || fail "there was no warning"
grep -qx "values \[1.0, 5.0\] unit Milliseconds resolution 60" seen || fail "both values had the last unit"
grep -qx "dimension task: of run 7" seen || fail "metadata replaced the dimension"
