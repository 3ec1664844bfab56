#!/usr/bin/env bash
# Consul 1.8.7 (Debian package consul 1.8.7, suite bullseye).
#
# Guess: when a snapshot is restored, an open blocking query either continues until its wait ends, or returns with the
# restored data and that data's X-Consul-Index, which is lower, as the documentation tells clients to expect.
# Seen: it returns at once with the data from before the restore and the index that was asked for. A client that
# continues from that index waits until the restored catalog has passed it, whatever changes in the meantime, and has
# old data until then. A restore can be recognised by an answer whose index is unchanged before its wait is over.
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
  curl -sf -X PUT "$api/v1/catalog/register" -d \
    "{\"Node\": \"n$1\", \"Address\": \"10.0.0.1\", \"Service\": {\"ID\": \"web$1\", \"Service\": \"web\"}}" > /dev/null
}
index() { curl -sf -o /dev/null -D - "$api$1" | tr -d '\r' | sed -n 's/^X-Consul-Index: //Ip'; }
until register 1; do sleep 0.2; done
"$consul" snapshot save -http-addr="$api" saved.snap > /dev/null
for n in 2 3 4 5 6; do register $n; done

asked=$(index /v1/health/service/web)
curl -sf -D head -o body "$api/v1/health/service/web?index=$asked&wait=60s" &
query=$!
sleep 1
began=$SECONDS
"$consul" snapshot restore -http-addr="$api" saved.snap > /dev/null
wait $query
answered=$(tr -d '\r' < head | sed -n 's/^X-Consul-Index: //Ip')
now=$(index /v1/health/service/web)
instances=$(grep -o '"ID":"web[0-9]*"' body | sort -u | wc -l)
echo "asked with index $asked; after the restore: index $answered, $instances instance(s); a plain query says index $now"
[ $((SECONDS - began)) -lt 30 ] || fail "the query came back when Consul was restored"
[ "$answered" = "$asked" ] || fail "it answered with the index that was asked for"
[ "$instances" = 6 ] || fail "it answered with the data from before the restore"
[ "$now" -lt "$asked" ] || fail "the data's own index is lower"
