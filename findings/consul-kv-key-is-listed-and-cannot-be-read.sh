#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: a key that Consul stores and lists can be read by its own path, percent-encoded where necessary.
# Seen: a transaction (`/v1/txn`) stores keys with an empty part or a part `..`, such as `a//b`, and `?keys` and
# `?recurse` return them. Their own path redirects (301) to that of another key, `a/b`, with each slash encoded too. So
# such a key can only be read with its neighbours, and a client that follows redirects gets another key's value.
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
until curl -sf -X PUT "$api/v1/kv/a/b" -d "the other key" > /dev/null; do sleep 0.2; done
echo '[{"KV": {"Verb": "set", "Key": "a//b", "Value": "'"$(printf 'this key' | base64)"'"}}]' > transaction
curl -sf -X PUT "$api/v1/txn" -d @transaction > /dev/null
listed=$(curl -sf "$api/v1/kv/a/?keys")
plain=$(curl -s --path-as-is -o /dev/null -w '%{http_code}' "$api/v1/kv/a//b")
encoded=$(curl -s --path-as-is -o /dev/null -w '%{http_code}' "$api/v1/kv/a%2F%2Fb")
followed=$(curl -sL "$api/v1/kv/a%2F%2Fb?raw")
echo "listed: $listed; a//b: $plain; a%2F%2Fb: $encoded; with redirects followed: $followed"
[[ "$listed" == *'"a//b"'* ]] || fail "the key is stored and listed"
[ "$plain" = 301 ] || fail "its path redirects"
[ "$encoded" = 301 ] || fail "its encoded path redirects too"
[ "$followed" = "the other key" ] || fail "the redirect leads to another key"
