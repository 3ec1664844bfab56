#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: a key's LockIndex counts how often the key was acquired, as documented, so it only grows. With the key and the
# session it makes the sequencer, by which others tell an old holder of the lock from the current one.
# Seen: any write of the key without `acquire` sets LockIndex to 0 while the session keeps the lock, also a write by
# the holder, and one with `cas`. The next holder's sequencer counts from one again.
# So keep the lock in a key that is written in no other way, and the data in another.
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
session() { curl -sf -X PUT "$api/v1/session/create" -d '{"LockDelay": "0s"}' | cut -d'"' -f4; }
put() { curl -sf -X PUT "$api/v1/kv/lock?$1" -d "$1" > /dev/null; }
lock_index() { curl -sf "$api/v1/kv/lock" | grep -oE '"LockIndex":[0-9]+' | cut -d: -f2; }
modify_index() { curl -sf "$api/v1/kv/lock" | grep -oE '"ModifyIndex":[0-9]+' | cut -d: -f2; }
held() { curl -sf "$api/v1/kv/lock" | grep -qF "\"Session\":\"$holder\""; }
expect() {
  seen=$(lock_index)
  echo "$1: LockIndex $seen"
  [ "$seen" = "$2" ] || fail "it was $2"
}

until holder=$(session); do sleep 0.2; done
put "acquire=$holder"
put "release=$holder"
put "acquire=$holder"
expect "acquired twice" 2
put ""
held || fail "the session still holds the lock"
expect "after a plain write, still held" 0
put "release=$holder"
holder=$(session)
put "acquire=$holder"
expect "acquired by the next session" 1
put "cas=$(modify_index)"
held || fail "the session still holds the lock"
expect "after a write with cas, still held" 0
