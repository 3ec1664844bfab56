#!/usr/bin/env bash
# botocore 1.43.106 (PyPI).
#
# Guess: SigV4Auth signs the canonical query of Signature Version 4, in which every character of a value but letters,
# digits and `-._~` is percent-encoded, however the address has it.
# Seen: what is given as `params` is encoded, but a query that is part of the address is only sorted. So `?q=a+b` is
# signed as `a+b`, and `?q=a:b` as `a:b`. A server that makes the canonical query of what it received gets `a%2Bb` or,
# if it reads `+` as a space, `a%20b`, and `a%3Ab`: the signature of a valid request does not match.
# So encode the values before they get into an address that is signed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "botocore==1.43.106"
fail() { echo "CHANGED: $1"; exit 1; }

cat > sign.py <<'PY'
import sys
from urllib.parse import parse_qsl, quote, unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def canonical(pairs):
    return "&".join(sorted(f"{quote(name, safe='-._~')}={quote(value, safe='-._~')}" for name, value in pairs))


how, query = sys.argv[1:]
signer = SigV4Auth(Credentials("key", "secret"), "execute-api", "us-east-1")
params = dict([query.split("=", 1)])
address = "https://example.com/"
request = AWSRequest("GET", address, params=params) if how == "params" else AWSRequest("GET", f"{address}?{query}")
plain = [tuple(map(unquote, query.split("=", 1)))] if how == "address" else [*params.items()]
expected = {canonical(plain), canonical(parse_qsl(query))} if how == "address" else {canonical(plain)}
signed = signer.canonical_query_string(request)
print(signed, "right" if signed in expected else "wrong")
PY
for case in "address q=a%2Bb right" "address q=a+b wrong" "address q=a:b wrong" "params q=a+b right" "params q=a:b right"; do
  read -r how query expected <<< "$case"
  seen=$(venv/bin/python sign.py "$how" "$query")
  echo "$query as $how is signed as $seen"
  [ "${seen##* }" = "$expected" ] || fail "it was $expected"
done
