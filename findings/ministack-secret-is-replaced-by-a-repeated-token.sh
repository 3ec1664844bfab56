#!/usr/bin/env bash
# ministack 1.5.33, called with boto3 1.43.102 (PyPI): an emulator of AWS.
#
# Guess: a version of a secret never changes, as Secrets Manager documents: a second put_secret_value with the same
# ClientRequestToken does nothing if the value is the same, and is refused with ResourceExistsException if it is another.
# Seen: a repeated put, which every retry of a client is, removes the label AWSPREVIOUS from the version before, which
# can't be read by it any more. With another value, the put replaces the value of the version and says nothing.
# So what depends on the former value, such as a rotation, fails after a retry in the emulator only, and a program that
# reuses tokens by mistake fails in AWS only.
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
from botocore.exceptions import ClientError

client = boto3.client("secretsmanager")
client.create_secret(Name="token", SecretString="old")
TOKEN = "8f0b9c1a-5d0e-4a57-9d4e-0d4f6f1c2a3b"


def value(stage):
    try:
        return client.get_secret_value(SecretId="token", VersionStage=stage)["SecretString"]
    except ClientError as problem:
        return problem.response["Error"]["Code"]


def put(text):
    client.put_secret_value(SecretId="token", SecretString=text, ClientRequestToken=TOKEN)
    print(f"put {text}: current {value('AWSCURRENT')}, previous {value('AWSPREVIOUS')}")


put("new")
put("new")
put("other")
PY
seen=$(venv/bin/python calls.py)
echo "$seen"
[ "$seen" = "put new: current new, previous old
put new: current new, previous ResourceNotFoundException
put other: current other, previous ResourceNotFoundException" ] || fail "a repeated put does something else"
