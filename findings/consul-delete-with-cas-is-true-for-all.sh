#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: a delete with `cas` is true for the one client that deleted the key, as a write with `cas` is true for one only.
# So several workers can claim a job by deleting its key with the index they read.
# Seen: it is true for every one of them. A key that is not there (any more) counts as deleted, whatever the index, also
# in a transaction with `delete-cas`; a write with the same index is refused. So two workers both have the job.
# So claim by a write with `cas` or by a lock, and delete afterwards.
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
key=$api/v1/kv/jobs/1
modify_index() { curl -sf "$key" | grep -oE '"ModifyIndex":[0-9]+' | cut -d: -f2; }
expect() {
  echo "$1: $2"
  [ "$2" = "$3" ] || fail "it was $3"
}
transaction() {
  curl -s -o answer -w '%{http_code}' -X PUT "$api/v1/txn" \
    -d "[{\"KV\": {\"Verb\": \"delete-cas\", \"Key\": \"jobs/1\", \"Index\": $index}}]"
}

until curl -sf -X PUT "$key" -d job > /dev/null; do sleep 0.2; done
index=$(modify_index)
expect "first delete with cas=$index" "$(curl -s -X DELETE "$key?cas=$index")" true
expect "second delete with cas=$index" "$(curl -s -X DELETE "$key?cas=$index")" true
expect "transaction with delete-cas" "$(transaction)" 200
expect "write with cas=$index" "$(curl -s -X PUT "$key?cas=$index" -d job)" false

curl -sf -X PUT "$key" -d job > /dev/null
expect "delete of the next key with cas=$index" "$(curl -s -X DELETE "$key?cas=$index")" false
expect "transaction with delete-cas" "$(transaction)" 409
