#!/usr/bin/env bash
# ministack 1.5.33, called with boto3 1.43.102 (PyPI): an emulator of AWS.
#
# Guess: a template that refers to a parameter or resource that it does not have is refused, as CloudFormation documents
# for validation: "Unresolved resource dependencies".
# Seen: `Ref` of an unknown name is the name as text, in properties and in outputs, `Fn::GetAtt` of an unknown resource is
# the empty text, and the stack is complete.
# So a template with a misspelt name deploys in the emulator; only a linter tells.
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
import json
import time

import boto3

client = boto3.client("cloudformation")
parameter = {"Type": "String", "Name": "/kept", "Value": {"Ref": "Misspelt"}}
template = {
    "Resources": {"Kept": {"Type": "AWS::SSM::Parameter", "Properties": parameter}},
    "Outputs": {
        "reference": {"Value": {"Ref": "Misspelt"}},
        "attribute": {"Value": {"Fn::GetAtt": ["Misspelt", "Arn"]}},
    },
}
client.create_stack(StackName="one", TemplateBody=json.dumps(template))
deadline = time.monotonic() + 60
while (stack := client.describe_stacks()["Stacks"][0])["StackStatus"] == "CREATE_IN_PROGRESS":
    assert time.monotonic() < deadline
    time.sleep(0.1)
print(stack["StackStatus"], boto3.client("ssm").get_parameter(Name="/kept")["Parameter"]["Value"])
for each in stack["Outputs"]:
    print(each["OutputKey"], each["OutputValue"])
PY
seen=$(venv/bin/python calls.py)
echo "$seen"
[ "$seen" = "CREATE_COMPLETE Misspelt
reference Misspelt
attribute " ] || fail "an unknown name is treated differently"
