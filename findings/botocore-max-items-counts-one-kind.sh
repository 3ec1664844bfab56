#!/usr/bin/env bash
# botocore 1.43.106 (PyPI).
#
# Guess: `MaxItems` limits how many items a paginator returns in total, as documented: with 1, list_object_versions
# returns one version or one delete marker.
# Seen: it counts the first kind of result only, the versions. All delete markers of the page are returned too, up to
# a thousand, with the first version; so MaxItems 1 returned three of four items. Going on from NextToken returns the
# rest, each once. So count what came, and use PageSize to limit it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }

cat > page.py <<'PY'
import copy

import botocore.session
from botocore.stub import Stubber

session = botocore.session.get_session()
s3 = session.create_client("s3", "us-east-1", aws_access_key_id="key", aws_secret_access_key="secret")
page = {
    "IsTruncated": False,
    "Versions": [{"Key": "a", "VersionId": "1"}, {"Key": "b", "VersionId": "2"}],
    "DeleteMarkers": [{"Key": "c", "VersionId": "3"}, {"Key": "d", "VersionId": "4"}],
}
token = None
with Stubber(s3) as stub:
    for _ in range(2):
        stub.add_response("list_object_versions", copy.deepcopy(page))
        limit = {"MaxItems": 1, "StartingToken": token}
        found = s3.get_paginator("list_object_versions").paginate(Bucket="demo", PaginationConfig=limit)
        result = found.build_full_result()
        keys = [each["Key"] for kind in ("Versions", "DeleteMarkers") for each in result[kind]]
        token = result.get("NextToken")
        print("MaxItems 1:", *keys, "and a token" if token else "and no token")
PY
venv/bin/python page.py | tee seen
grep -qx "MaxItems 1: a c d and a token" seen || fail "the first time, one version and all delete markers were returned"
grep -qx "MaxItems 1: b and no token" seen || fail "the second time, the other version was returned"
