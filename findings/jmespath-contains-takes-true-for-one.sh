#!/usr/bin/env bash
# jmespath 1.1.0 (PyPI), which boto3, the AWS CLI and aws-lambda-powertools use.
#
# Guess: true and 1 are different values everywhere, as in JSON: `==` says so.
# Seen: `==` does so for the two values themselves only. Inside of lists and objects they are equal: [true] == [1], and
# contains([1], true) is true, as is contains([true], 1). So a filter for a flag also returns what has the number 1 there,
# and 0 is found in a list of false.
# So compare the values one by one: [?value == `true`].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "jmespath==1.1.0"
fail() { echo "CHANGED: $1"; exit 1; }

cat > search.py <<'PY'
import sys

import jmespath

print(jmespath.search(sys.argv[1], {"flags": [True], "numbers": [1], "flag": True, "number": 1}))
PY
expect() {
  seen=$(venv/bin/python search.py "$1")
  echo "$1: $seen"
  [ "$seen" = "$2" ] || fail "it was $2"
}
expect "flag == number" False
expect "flags == numbers" True
expect "{a: flag} == {a: number}" True
expect "contains(numbers, \`true\`)" True
expect "contains(flags, \`1\`)" True
expect "contains(flags, \`2\`)" False
expect "length(numbers[?@ == \`true\`])" 0
