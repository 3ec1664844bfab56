#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: `recurse=false` deletes one key only, as without `recurse`, which is documented as a bool with the default false.
# Seen: it deletes all keys with that prefix, `application` with `app`: Consul looks only whether the word is there.
# `recurse=false` and `keys=false` list all keys in the same way, and `stale=false` permits stale data. `passing=false` of
# the health of a service is read as false, though, so the other ones seem to work the same.
# So leave such an option out instead of setting it to false, as libraries do with their defaults.
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
kv=$api/v1/kv
until curl -sf -X PUT "$kv/app" -d x > /dev/null; do sleep 0.2; done
for key in app/a application other; do curl -sf -X PUT "$kv/$key" -d x > /dev/null; done
expect() {
  echo "$1: $2"
  [ "$2" = "$3" ] || fail "it was $3"
}
all='["app","app/a","application","other"]'
expect "keys" "$(curl -sf "$kv/?keys")" "$all"
expect "read with keys=false" "$(curl -sf "$kv/app?keys=false")" '["app","app/a","application"]'
expect "read with recurse=false" "$(curl -sf "$kv/app?recurse=false" | grep -oE '"Key"' | wc -l)" 3
expect "delete with recurse=false" "$(curl -sf -X DELETE "$kv/app?recurse=false")" true
expect "keys" "$(curl -sf "$kv/?keys")" '["other"]'

consistency() { curl -sf -D - -o answer "$api/v1/$1" | grep -i effective-consistency | tr -d '\r' | cut -d' ' -f2; }
expect "catalog with stale=false" "$(consistency 'catalog/nodes?stale=false')" stale
expect "catalog without" "$(consistency 'catalog/nodes')" leader

curl -sf -X PUT "$api/v1/catalog/register" > /dev/null -d '{"Node": "m", "Address": "192.0.2.1",
  "Service": {"Service": "web"}, "Check": {"Name": "up", "Status": "critical", "ServiceID": "web"}}'
instances() { curl -sf "$api/v1/health/service/web$1" | grep -oE '"CheckID"' | wc -l; }
expect "critical instances with passing=false" "$(instances '?passing=false')" 1
expect "critical instances with passing" "$(instances '?passing')" 0
