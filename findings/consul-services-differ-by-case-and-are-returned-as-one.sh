#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: `Web` and `web` are two services, as the list of services has them, each with its own tags; a query for one
# returns its instances only, and one for `WEB`, which is not in the list, returns none.
# Seen: the list has both, but each query for instances, whatever the case, returns the instances of both: a client that
# follows the list and then asks for each name gets every instance twice. The filter on the name tells them apart.
# So compare the name in each instance with the name that was asked for.
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
    \"Service\": {\"ID\": \"$1\", \"Service\": \"$2\", \"Tags\": [\"$1\"]}}" > /dev/null
}
until register small web; do sleep 0.2; done
register large Web

listed=$(curl -sf "$api/v1/catalog/services")
echo "listed: $listed"
echo "$listed" | grep -qF '"Web":["large"]' || fail "the list had Web with its own tag"
echo "$listed" | grep -qF '"web":["small"]' || fail "the list had web with its own tag"
instances() { curl -sf -G "$api$1" "${@:2}" | grep -oE '"(ID|ServiceID)":"(small|large)"' | cut -d'"' -f4 | sort | paste -sd' '; }
for name in web Web WEB; do
  for path in /v1/health/service /v1/catalog/service; do
    found=$(instances "$path/$name")
    echo "$path/$name: $found"
    [ "$found" = "large small" ] || fail "it returned the instances of both"
  done
done
found=$(instances /v1/health/service/web --data-urlencode 'filter=Service.Service == web')
echo "with a filter on the name: $found"
[ "$found" = small ] || fail "the filter kept one of them"
