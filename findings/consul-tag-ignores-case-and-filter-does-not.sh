#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: `?tag=v1` and the filter `"v1" in ServiceTags` choose the same instances: those with the tag v1.
# Seen: `tag` ignores case, so it also returns the instances with the tag V1, from the catalog and from health alike;
# the filter returns those with v1 only. The documentation of either says nothing of case.
# So a query that is rewritten from `tag` to `filter` may lose instances.
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
  curl -sf -X PUT "$api/v1/catalog/register" > /dev/null \
    -d "{\"Node\": \"m\", \"Address\": \"192.0.2.1\", \"Service\": {\"Service\": \"web\", \"ID\": \"$1\", \"Tags\": [\"$2\"]}}"
}
ids() { curl -sfG "$api/v1/$1/service/web" --data-urlencode "$2" | grep -oE '"(ServiceID|ID)":"web-[a-z]+"' \
  | cut -d'"' -f4 | sort | tr '\n' ' '; }
expect() {
  seen=$(ids "$1" "$2")
  echo "$1 $2: $seen"
  [ "$seen" = "$3" ] || fail "it was $3"
}
until register web-lower v1; do sleep 0.2; done
register web-upper V1
for tag in v1 V1; do
  expect catalog "tag=$tag" "web-lower web-upper "
  expect health "tag=$tag" "web-lower web-upper "
done
expect catalog 'filter="v1" in ServiceTags' "web-lower "
expect health 'filter="V1" in Service.Tags' "web-upper "
