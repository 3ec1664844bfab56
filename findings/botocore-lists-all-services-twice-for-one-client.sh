#!/usr/bin/env bash
# boto3 1.43.102 with botocore 1.43.106 (PyPI).
#
# Guess: a client reads the data of its own service.
# Seen: the first client of a session lists the folders of all services, over 400, and it does so twice; a second client
# of the same session lists one folder. So each new session, and in a Lambda function each cold start, opens some 870
# folders before the first call.
# So make one session and take all clients from it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "boto3==1.43.102" "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }

cat > count.py <<'PY'
import os
import sys
from pathlib import Path

import boto3
import botocore

data = str(Path(botocore.__file__).parent / "data")
listed = []
sys.addaudithook(
    lambda event, values: listed.append(values[0])
    if event in {"os.listdir", "os.scandir"} and str(values[0]).startswith(data + os.sep)
    else None
)


def count(*names):
    listed.clear()
    for name in names:
        session.client(name, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret")
    return len(listed)


services = sum(each.is_dir() for each in Path(data).iterdir())
for _ in range(2):
    session = boto3.session.Session()
    first, second = count("sqs"), count("events")
    print(f"{services} services; first client: {first} folders, second client: {second}")
    assert first >= 2 * services, first
    assert second <= 2, second
PY
AWS_EC2_METADATA_DISABLED=true venv/bin/python count.py || fail "the first client listed each service twice"
