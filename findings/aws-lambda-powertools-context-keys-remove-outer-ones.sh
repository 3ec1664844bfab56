#!/usr/bin/env bash
# aws-lambda-powertools 3.37.0 (PyPI).
#
# Guess: `with logger.append_context_keys(task=...)` adds keys while the block runs, and what was there before is there
# after it, as with nested blocks of any context.
# Seen: the keys are removed at the end, not restored. A key that the logger had before, from `append_keys` or from an
# outer block, is gone from all later lines of the invocation. So lines after a nested block can't be found by the key.
# So use names in a block that are used nowhere outside of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "aws-lambda-powertools==3.37.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > log.py <<'PY'
import io
import json

from aws_lambda_powertools import Logger

out = io.StringIO()
logger = Logger(service="runner", stream=out)
logger.append_keys(task="all")
with logger.append_context_keys(task="firewall", run="7"):
    logger.info("outer block")
    with logger.append_context_keys(run="7, first attempt"):
        logger.info("inner block")
    logger.info("outer block again")
logger.info("after both")
for line in out.getvalue().splitlines():
    entry = json.loads(line)
    print(f"{entry['message']}: task {entry.get('task')}, run {entry.get('run')}")
PY
venv/bin/python log.py | tee seen
for line in "outer block: task firewall, run 7" "inner block: task firewall, run 7, first attempt" \
  "outer block again: task firewall, run None" "after both: task None, run None"; do
  grep -qxF "$line" seen || fail "$line"
done
