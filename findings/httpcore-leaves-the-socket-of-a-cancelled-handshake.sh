#!/usr/bin/env bash
# httpx 0.28.1 with httpcore 1.0.9 and anyio 4.16.0 (PyPI).
#
# Guess: a request that is cancelled while it connects closes its socket, as one that fails does.
# Seen: if it is cancelled during the TLS handshake, the socket stays open after the client was closed too: the server
# still waits. `AnyIOStream.start_tls` closes it after `Exception`, and a cancellation is not one. Over plain HTTP, and
# with a time-out, it is closed.
# So the adapter closes it itself: httpcore's `trace` extension hands out the stream.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "httpx==0.28.1" "httpcore==1.0.9" "anyio==4.16.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > connect.py <<'PY'
import asyncio
import sys

import httpx


async def main(scheme, how):
    began, ended = asyncio.Event(), asyncio.Event()

    async def says_nothing(reader, writer):
        await reader.read(1)
        began.set()
        await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = httpx.AsyncClient(timeout=1.0 if how == "time-out" else None)
    asked = asyncio.create_task(client.get(f"{scheme}://127.0.0.1:{port}/"))
    await began.wait()
    if how == "cancelled":
        asked.cancel()
    await asyncio.wait([asked])
    await client.aclose()
    try:
        await asyncio.wait_for(ended.wait(), 3)
        print("closed")
    except TimeoutError:
        print("open")


asyncio.run(main(*sys.argv[1:]))
PY
for case in "https cancelled open" "https time-out closed" "http cancelled closed"; do
  read -r scheme how expected <<< "$case"
  seen=$(venv/bin/python connect.py "$scheme" "$how" 2> /dev/null)
  echo "$scheme, $how: $seen"
  [ "$seen" = "$expected" ] || fail "$scheme, $how: the socket was $expected"
done
