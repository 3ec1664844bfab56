# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

consul_kv = {
  "for"                = ""
  "rules/"             = ""
  "rules/binary"       = "��ab"
  "rules/json"         = "{\"a\": \"$${b}\", \"c\": \"%%{d}\"}\n"
  "rules/odd\"$${key}" = "back\\slash a\\tb\r\n\u0000"
  "rules/\u00fc"       = "😀 é"
}
services = {
  "web-1.node-1.dc1" = {
    id              = "web-1"
    name            = "web"
    kind            = ""
    address         = "10.0.0.1"
    port            = 80
    meta            = {}
    tags            = ["", "B", "a", "a", "b"]
    namespace       = ""
    status          = "passing"
    node            = "node-1"
    node_id         = "11111111-2222-3333-4444-555555555555"
    node_address    = "10.0.0.1"
    node_datacenter = "dc1"
    node_tagged_addresses = {
      "lan" = "10.0.0.1"
    }
    node_meta = {}
    cts_user_defined_meta = {
      "for"         = "a"
      "k8s.io/zone" = "\"$${b}\""
    }
  }
}
