#!/usr/bin/env bash
# ministack 1.5.33, called with boto3 1.43.102 (PyPI): an emulator of AWS.
#
# Guess: `REMOVE l[0], l[2]` takes the first and the third element of a list, as DynamoDB's guide shows for two indices: all
# paths of an expression are those of the item before the update.
# Seen: each index counts in the list that the one before it has left: of four elements, the first and the fourth are
# taken. `REMOVE l[2], l[0]`, the same to DynamoDB, takes the right ones.
# So a test with the emulator does not show what an update of two elements does in AWS.
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
import boto3

table = boto3.resource("dynamodb").create_table(
    TableName="tasks",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
for expression in ("REMOVE l[0], l[2]", "REMOVE l[2], l[0]", "REMOVE l[0], l[1]"):
    table.put_item(Item={"id": "a", "l": ["first", "second", "third", "fourth"]})
    table.update_item(Key={"id": "a"}, UpdateExpression=expression)
    print(expression, "leaves", *table.get_item(Key={"id": "a"})["Item"]["l"])
PY
seen=$(venv/bin/python calls.py)
echo "$seen"
[ "$seen" = "REMOVE l[0], l[2] leaves second third
REMOVE l[2], l[0] leaves second fourth
REMOVE l[0], l[1] leaves second fourth" ] || fail "other elements are left"
