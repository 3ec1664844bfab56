#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: in a filter, a selector whose key is missing matches no regular expression, as it is equal to no value: an
# instance without the key `version` in its metadata is left out by `Service.Meta.version matches "^2"`.
# Seen: `==` leaves it out, but `matches` keeps it, whatever the expression, and `not matches` keeps it too. A missing
# key satisfies an expression and its opposite. It is the same for nodes, with `Meta.rack matches ...`.
# So add `and version in Service.Meta`.
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
register() {
  curl -sf -X PUT "$api/v1/catalog/register" -d "{\"Node\": \"other\", \"Address\": \"127.0.0.1\",
    \"Service\": {\"ID\": \"$1\", \"Service\": \"web\", \"Meta\": $2}}" > /dev/null
}
until register one '{"version": "1"}'; do sleep 0.2; done
register two '{"version": "2"}'
register none '{}'

expect() {
  found=$(curl -sf -G "$api/v1/health/service/web" --data-urlencode "filter=$1" \
    | grep -oE '"ID":"(one|two|none)"' | cut -d'"' -f4 | sort | paste -sd' ' || true)
  echo "$1: ${found:-nothing}"
  [ "$found" = "$2" ] || fail "it was: ${2:-nothing}"
}
expect 'Service.Meta.version == "2"' 'two'
expect 'Service.Meta.version matches "^2"' 'none two'
expect 'Service.Meta.version matches "^3"' 'none'
expect 'Service.Meta.version not matches "^3"' 'none one two'
expect 'Service.Meta.version matches "^2" and version in Service.Meta' 'two'
