#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0 (PyPI), the event handler.
#
# Guess: a route with compress=True compresses for clients that accept gzip, by the rules of Accept-Encoding.
# Seen: it does so if the header contains the letters gzip. `gzip;q=0`, by which a client refuses gzip, is answered with
# a gzip body, and so is `x-gzip-none`, a coding that nobody knows; `*`, which accepts every coding, and `GZIP` are not.
# So leave compress off where clients or proxies state what they refuse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "aws-lambda-powertools==3.37.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > answer.py <<'PY'
import sys

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver

app = LambdaFunctionUrlResolver()


@app.get("/", compress=True)
def answer():
    return {"text": "a" * 1000}


event = {
    "version": "2.0",
    "rawPath": "/",
    "headers": {"accept-encoding": sys.argv[1]},
    "requestContext": {"http": {"method": "GET", "path": "/"}, "stage": "$default"},
}
print(app.resolve(event, None)["headers"].get("Content-Encoding", "plain"))
PY
for case in "gzip=gzip" "br=plain" "gzip;q=0=gzip" "identity, gzip;q=0=gzip" "x-gzip-none=gzip" "*=plain" "GZIP=plain"; do
  seen=$(venv/bin/python answer.py "${case%=*}" 2> log)
  echo "${case%=*}: $seen"
  [ "$seen" = "${case##*=}" ] || fail "it was: ${case##*=}"
done
