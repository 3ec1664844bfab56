#!/usr/bin/env bash
# boto3 1.43.102 with botocore 1.43.106 (PyPI), the DynamoDB resource.
#
# Guess: a condition built with `Attr` comes beside the names and values of the update expression; where both use the
# same placeholder, the call fails.
# Seen: boto3 numbers its own placeholders :v0, #n0 and so on, and puts them over those of the caller. `SET state = :v0`
# with :v0 = "new", on the condition that state is "old", is sent as `SET state = :v0` with :v0 = "old": DynamoDB accepts
# it and writes a value that nobody passed as data.
# So name placeholders by words, or write conditions as text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "boto3==1.43.102" "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }

cat > update.py <<'PY'
import json
import sys

import boto3
from boto3.dynamodb.conditions import Attr
from botocore.awsrequest import AWSResponse

own = {"region_name": "us-east-1", "aws_access_key_id": "key", "aws_secret_access_key": "secret"}
table = boto3.resource("dynamodb", **own).Table("tasks")
sent = []


class Answer:
    def stream(self):
        yield b"{}"


def answer(request, **_):
    sent.append(json.loads(request.body))
    return AWSResponse(request.url, 200, {}, Answer())


table.meta.client.meta.events.register("before-send.dynamodb.UpdateItem", answer)
placeholder = sys.argv[1]
table.update_item(
    Key={"id": "a"},
    UpdateExpression=f"SET stage = {placeholder}",
    ConditionExpression=Attr("stage").eq("old"),
    ExpressionAttributeValues={placeholder: "new"},
)
print(sent[0]["UpdateExpression"], sent[0]["ConditionExpression"], sent[0]["ExpressionAttributeValues"])
PY
expect() {
  seen=$(AWS_EC2_METADATA_DISABLED=true venv/bin/python update.py "$1")
  echo "$seen"
  [ "$seen" = "$2" ] || fail "it was $2"
}
expect :stage "SET stage = :stage #n0 = :v0 {':stage': {'S': 'new'}, ':v0': {'S': 'old'}}"
expect :v0 "SET stage = :v0 #n0 = :v0 {':v0': {'S': 'old'}}"
