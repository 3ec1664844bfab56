#!/usr/bin/env bash
# httpx 0.28.1 (PyPI).
#
# Guess: an entry of NO_PROXY that httpx can't use, such as a network, is passed over, as urllib, requests and botocore do
# with those they can't use.
# Seen: 10.0.0.0/8 is passed over, so its addresses are asked through the proxy. But with fd00::/8 or [::1] in NO_PROXY,
# every request fails, to whatever address, with "Invalid port", which names neither the variable nor the entry. ::1
# without brackets works. requests 2.32.5 takes each of them.
# So give a client that must not fail for this `trust_env=False`, or a transport of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "httpx==0.28.1" "requests==2.32.5"
fail() { echo "CHANGED: $1"; exit 1; }

cat > ask.py <<'PY'
import http.server
import os
import threading

import httpx
import requests



class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/"
os.environ["http_proxy"] = address  # it answers what it is asked, as a proxy would
for entry in ("10.0.0.0/8", "::1", "fd00::/8", "[::1]"):
    os.environ["no_proxy"] = f"localhost,{entry}"
    try:
        status = httpx.get(address).status_code
    except httpx.InvalidURL as error:
        status = error
    print(f"{entry}: httpx {status}, requests {requests.get(address).status_code}")
server.shutdown()
PY
env -u HTTP_PROXY -u NO_PROXY -u ALL_PROXY -u all_proxy venv/bin/python ask.py | tee seen
for line in "10.0.0.0/8: httpx 204, requests 204" "::1: httpx 204, requests 204" \
  "fd00::/8: httpx Invalid port: ':', requests 204" "[::1]: httpx Invalid port: ':1]', requests 204"; do
  grep -qxF "$line" seen || fail "$line"
done
