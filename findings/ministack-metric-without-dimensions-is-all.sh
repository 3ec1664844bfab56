#!/usr/bin/env bash
# ministack 1.5.33, called with boto3 1.43.102 (PyPI): an emulator of AWS.
#
# Guess: each combination of dimensions is a metric of its own, as CloudWatch documents: a query without dimensions finds
# only what was put without any.
# Seen: without dimensions, a query returns the sum over all combinations, although one with a part of the dimensions finds
# nothing, as in AWS.
# So a graph or an alarm that forgets the dimensions works in the emulator, and has no data in AWS.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${emulator:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "ministack==1.5.33" "boto3==1.43.102" "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
GATEWAY_PORT=$port BIND_HOST=127.0.0.1 STATE_DIR=$folder/state LOG_LEVEL=ERROR venv/bin/ministack > log 2>&1 &
emulator=$!
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=test \
  AWS_SECRET_ACCESS_KEY=test AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=8 AWS_EC2_METADATA_DISABLED=true
for _ in $(seq 150); do (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.2; done

cat > calls.py <<'PY'
from datetime import UTC, datetime, timedelta

import boto3

client = boto3.client("cloudwatch")
now = datetime.now(UTC).replace(second=0, microsecond=0)
for stack, value in (("one", 1), ("two", 10)):
    dimensions = [{"Name": "stack", "Value": stack}, {"Name": "service", "Value": "poller"}]
    at = now - timedelta(minutes=5)
    datum = {"MetricName": "Changes", "Dimensions": dimensions, "Timestamp": at, "Value": value}
    client.put_metric_data(Namespace="tests", MetricData=[datum])


def total(*dimensions):
    metric = {"Namespace": "tests", "MetricName": "Changes"}
    found = client.get_metric_statistics(
        **metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=now - timedelta(hours=1),
        EndTime=now,
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(each["Sum"] for each in found)


print("all dimensions:", total(("stack", "one"), ("service", "poller")))
print("one of two:", total(("service", "poller")))
print("none:", total())
PY
seen=$(venv/bin/python calls.py)
echo "$seen"
[ "$seen" = "all dimensions: 1.0
one of two: 0
none: 11.0" ] || fail "other values are found"
