#!/usr/bin/env bash
# python-hcl2 8.1.4 with lark 1.3.1 (PyPI); Terraform 1.11.4 reads two variables.
#
# Guess: `"$${"` is the text `${`, as HCL's specification says, so the file below sets two variables.
# Seen: the escape continues to the next `}`, which is in the second string. The file then has one variable, whose
# value contains the name of the other. Nothing is reported.
# So the content of strings must be hidden before python-hcl2 parses a text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "python-hcl2==8.1.4" "lark==1.3.1"
fail() { echo "CHANGED: $1"; exit 1; }

printf 'opening = "$${"\nclosing = "}"\n' > values.tfvars
cat > read.py <<'PY'
import hcl2
print(sorted(hcl2.loads(open("values.tfvars").read())))
PY
read_names=$(venv/bin/python read.py)
echo "variables that python-hcl2 reads: $read_names"
[ "$read_names" = "['opening']" ] || fail "the second variable was swallowed"

printf 'opening = "{"\nclosing = "}"\n' > values.tfvars
read_names=$(venv/bin/python read.py)
[ "$read_names" = "['closing', 'opening']" ] || fail "without the escape both were read"
