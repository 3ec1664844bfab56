#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0 with botocore 1.43.106 (PyPI), the utility for parameters.
#
# Guess: `get_secret(name, VersionStage="AWSPREVIOUS")` returns the previous version, also shortly after
# `get_secret(name)`: the options reach the service, and another request is another entry of the cache.
# Seen: the cache knows a value by its name and transformation only. Within the five seconds of the cache the second call
# returns the current version and asks nobody. The same goes for `decrypt` of `get_parameter` and `recursive` of
# `get_parameters`. So code that tries the current and then the previous secret, as during a rotation, tries one twice.
# So pass force_fetch=True with such options.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "aws-lambda-powertools==3.37.0" "boto3==1.43.102" "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }

cat > get.py <<'PY'
import boto3
from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from botocore.stub import Stubber

own = {"region_name": "us-east-1", "aws_access_key_id": "key", "aws_secret_access_key": "secret"}
secrets, parameters = boto3.client("secretsmanager", **own), boto3.client("ssm", **own)
with Stubber(secrets) as stub:
    provider = SecretsProvider(boto3_client=secrets)
    previous = {"SecretId": "key", "VersionStage": "AWSPREVIOUS"}
    stub.add_response("get_secret_value", {"SecretString": "current value"}, {"SecretId": "key"})
    stub.add_response("get_secret_value", {"SecretString": "previous value"}, previous)
    print(provider.get("key"))
    print(provider.get("key", VersionStage="AWSPREVIOUS"))
    print(provider.get("key", VersionStage="AWSPREVIOUS", force_fetch=True))
with Stubber(parameters) as stub:
    provider = SSMProvider(boto3_client=parameters)
    stub.add_response("get_parameter", {"Parameter": {"Value": "ciphertext"}}, {"Name": "key", "WithDecryption": False})
    print(provider.get("key", decrypt=False))
    print(provider.get("key", decrypt=True))
PY
venv/bin/python get.py | tee seen
printf '%s\n' "current value" "current value" "previous value" ciphertext ciphertext > before
cmp -s before seen || fail "it was: $(cat before)"
