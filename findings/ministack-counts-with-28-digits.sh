#!/usr/bin/env bash
# ministack 1.5.33, called with boto3 1.43.102 (PyPI): an emulator of AWS.
#
# Guess: numbers have up to 38 digits, as in DynamoDB: they are stored so, and so `ADD` and `SET n = n + :one` add exactly.
# Seen: a number of 38 digits is stored as it is, but a sum is rounded to 28, the precision that Python's decimals have by
# default: adding 1 to 12345678901234567890123456789012345678 makes the last ten digits 0, without an error.
# So a test of a counter that begins with a large number, such as one made of a time and an ID, fails or passes by mistake.
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

client = boto3.client("dynamodb")
client.create_table(
    TableName="tasks",
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    BillingMode="PAY_PER_REQUEST",
)
key = {"id": {"S": "a"}}


def number():
    return client.get_item(TableName="tasks", Key=key)["Item"]["n"]["N"]


for expression in ("ADD n :one", "SET n = n + :one"):
    client.put_item(TableName="tasks", Item={**key, "n": {"N": "12345678901234567890123456789012345678"}})
    print(number(), end=" ")
    client.update_item(
        TableName="tasks",
        Key=key,
        UpdateExpression=expression,
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    print(expression, number())
PY
seen=$(venv/bin/python calls.py)
echo "$seen"
before=12345678901234567890123456789012345678
after=12345678901234567890123456790000000000
[ "$seen" = "$before ADD n :one $after
$before SET n = n + :one $after" ] || fail "a sum has other digits"
