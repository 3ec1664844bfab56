#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: a blocking query with `wait=0s` answers at once. A short wait such as 1ms does, and the documentation gives a
# maximum, and a default for a query without `wait`.
# Seen: `wait=0s`, like `wait=0` and a negative wait such as -1s, waits as long as a query without one: five minutes and
# more. So a client that passes on the time it has left waits longest when none is left.
# So leave `index` out to get an answer at once.
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
until curl -sf "$api/v1/catalog/nodes" | grep -q '"Node":"n"'; do sleep 0.2; done
ask() { curl -s -m 3 -o answer -w '%{http_code}' "$api/v1/kv/none?index=1000000$1" || true; }  # 000: no answer in 3 s
expect() {
  seen=$(ask "$1")
  echo "${1:-without wait}: $seen"
  [ "$seen" = "$2" ] || fail "it was $2"
}
expect "&wait=1ms" 404
expect "" 000
expect "&wait=0s" 000
expect "&wait=-1s" 000
expect "&wait=0" 000
