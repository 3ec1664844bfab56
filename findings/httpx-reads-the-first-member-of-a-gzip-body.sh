#!/usr/bin/env bash
# httpx 0.28.1 (PyPI).
#
# Guess: a response with `Content-Encoding: gzip` is unpacked as RFC 1952 defines the format: one member or several,
# one after another; and a body that ends before its member does is an error, as a wrong checksum is.
# Seen: only the first member is unpacked, and the others are dropped without an error. Servers that compress what they
# send piece by piece, or send joined .gz files as they are, lose all but the first piece. A body that is cut short
# within its member is returned as far as it goes, with a correct Content-Length. requests 2.32.5 returns all members.
# So check the length or the end of what was read.
set -euo pipefail
folder=$(mktemp -d)
server_pid=""
trap '[ -z "$server_pid" ] || kill "$server_pid"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "httpx==0.28.1" "requests==2.32.5"
fail() { echo "CHANGED: $1"; exit 1; }

cat > serve.py <<'PY'
import gzip
import http.server

ONE, TWO = gzip.compress(b"first "), gzip.compress(b"second")
WRONG = ONE[:-8] + bytes(8)
BODIES = {"/one": ONE, "/two": ONE + TWO, "/cut": ONE[:-4], "/wrong": WRONG}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = BODIES[self.path]
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
cat > ask.py <<'PY'
import sys

import httpx
import requests

address = f"http://127.0.0.1:{sys.argv[1]}/"
print("httpx, one member:", httpx.get(f"{address}one").text)
print("httpx, two members:", httpx.get(f"{address}two").text)
print("requests, two members:", requests.get(f"{address}two").text)
print("httpx, cut short:", httpx.get(f"{address}cut").text)
try:
    print("httpx, wrong checksum:", httpx.get(f"{address}wrong").text)
except httpx.DecodingError:
    print("httpx, wrong checksum: DecodingError")
PY
venv/bin/python serve.py > port &
server_pid=$!
until [ -s port ]; do sleep 0.1; done
env -u HTTP_PROXY -u http_proxy -u ALL_PROXY -u all_proxy venv/bin/python ask.py "$(cat port)" | sed 's/ *$//' | tee seen
for line in "httpx, one member: first" "httpx, two members: first" "requests, two members: first second" \
  "httpx, cut short: first" "httpx, wrong checksum: DecodingError"; do
  grep -qxF "$line" seen || fail "$line"
done
