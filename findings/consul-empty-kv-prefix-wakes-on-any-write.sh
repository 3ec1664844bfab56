#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: a blocking query for all keys under a prefix (`?recurse`) sleeps until a key under that prefix is written or
# deleted, whether there are such keys now or not.
# Seen: that holds while there are keys. While there are none, the answer (404) has the newest index of the whole KV
# store, and each write of any other key wakes the query: with 404 again, and a new index. The same is true of a single
# key that does not exist. A client that treats each answer as a change does something for every write in the store; one
# that wants to know cheaply whether anything in the store moved can ask for a prefix that nobody uses.
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
write() { curl -sf -X PUT "$api/v1/kv/$1" -d "$RANDOM" > /dev/null; }
index() { curl -s -o /dev/null -D - "$api$1" | tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip'; }
until write filled/a; do sleep 0.2; done
write other

# Seconds until a query that is held for 10 seconds comes back, while another key is written after one.
held() {
  local asked began
  asked=$(index "/v1/kv/$1")
  began=$SECONDS
  curl -s -o /dev/null "$api/v1/kv/$1&index=$asked&wait=10s" &
  local query=$!
  sleep 1
  write other
  wait $query
  echo $((SECONDS - began))
}
filled=$(held "filled/?recurse")
empty=$(held "empty/?recurse")
missing=$(held "missing?")
newest=$(index /v1/kv/other)
told=$(index "/v1/kv/empty/?recurse")
echo "held for $filled s with keys under the prefix, $empty s without, $missing s for a key that does not exist"
echo "index of the empty prefix: $told; of the key that was written last: $newest"
[ "$filled" -ge 9 ] || fail "a query for a prefix with keys sleeps while another key is written"
[ "$empty" -le 5 ] || fail "a query for a prefix without keys wakes when another key is written"
[ "$missing" -le 5 ] || fail "so does one for a key that does not exist"
[ "$told" = "$newest" ] || fail "an empty prefix has the newest index of the whole store"
