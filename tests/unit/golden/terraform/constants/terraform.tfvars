# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description: Terraform 1.15

services = {
  "web-1.node-a.dc1" = {
    id              = "web-1"
    name            = "web"
    kind            = ""
    address         = "10.0.0.4"
    port            = 8080
    meta            = {}
    tags            = []
    namespace       = ""
    status          = "passing"
    node            = "node-a"
    node_id         = "11111111-2222-3333-4444-555555555555"
    node_address    = "10.0.0.4"
    node_datacenter = "dc1"
    node_tagged_addresses = {
      "lan" = "10.0.0.4"
      "wan" = "10.0.0.4"
    }
    node_meta = {
      "consul-version" = "1.22.3"
    }
    cts_user_defined_meta = {}
  }
}
