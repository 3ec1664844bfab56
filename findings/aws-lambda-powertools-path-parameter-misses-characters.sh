#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0 (PyPI).
#
# Guess: `<name>` in a route such as `/tasks/<name>` stands for one segment of the path: any characters but `/`.
# Seen: it stands for letters and digits, and a fixed list of other characters. A segment with one that is not on the
# list, such as `€`, `"` or a dash, is answered with 404, as if there were no such route: the handler is never called.
# So a service that takes names as people write them must check them where it stores them, or answer what was not
# found itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "aws-lambda-powertools==3.37.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > ask.py <<'PY'
import sys
from types import SimpleNamespace

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver

app = LambdaFunctionUrlResolver()


@app.get("/tasks/<name>")
def task(name):
    return {"name": name}


http = {"method": "GET", "path": f"/tasks/{sys.argv[1]}"}
event = {
    "version": "2.0", "rawPath": http["path"], "rawQueryString": "", "headers": {},
    "requestContext": {"http": http, "stage": "$default"}, "isBase64Encoded": False,
}
print(app.resolve(event, SimpleNamespace())["statusCode"])
PY
for name in "web" "web api" "web:api" "café" "web-€" 'the "web"' "web–api" "web\\api"; do
  case $name in *[\"\\€–]*) expected=404 ;; *) expected=200 ;; esac
  seen=$(venv/bin/python ask.py "$name")
  echo "$name: $seen"
  [ "$seen" = "$expected" ] || fail "$name was answered with $expected"
done
