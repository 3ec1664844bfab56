# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

services = {
  "db-1.node-1.team.dc1" = {
    id              = "db-1"
    name            = "db"
    kind            = ""
    address         = "10.0.0.1"
    port            = 80
    meta            = {}
    tags            = []
    namespace       = "team"
    status          = "passing"
    node            = "node-1"
    node_id         = "11111111-2222-3333-4444-555555555555"
    node_address    = "10.0.0.1"
    node_datacenter = "dc1"
    node_tagged_addresses = {
      "lan" = "10.0.0.1"
    }
    node_meta             = {}
    cts_user_defined_meta = {}
  }
  "web-1.node-1.dc1" = {
    id              = "web-1"
    name            = "web"
    kind            = ""
    address         = "10.0.0.1"
    port            = 80
    meta            = {}
    tags            = []
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
      "tier" = "edge"
    }
  }
}
