# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: mesh
# Description: hosts and rules

nodes = {
  "odd\"$${node}.dc1" = {
    id         = "11111111-2222-3333-4444-555555555555"
    name       = "odd\"$${node}"
    address    = "10.0.0.4"
    datacenter = "dc1"
    tagged_addresses = {
      "lan" = "10.0.0.4"
    }
    meta = {
      "consul-version" = "1.21.4"
      "rack"           = "a"
    }
  }
  "rack-1.dc1" = {
    id         = "11111111-2222-3333-4444-555555555555"
    name       = "rack-1"
    address    = "10.0.0.4"
    datacenter = "dc1"
    tagged_addresses = {
      "lan" = "10.0.0.4"
    }
    meta = {
      "consul-version" = "1.21.4"
      "rack"           = "a"
    }
  }
  "rack-1.dc2" = {
    id         = "11111111-2222-3333-4444-555555555555"
    name       = "rack-1"
    address    = "10.0.0.4"
    datacenter = "dc2"
    tagged_addresses = {
      "lan" = "10.0.0.4"
    }
    meta = {
      "consul-version" = "1.21.4"
      "rack"           = "a"
    }
  }
}
intentions = {
  "team/web => db" = {
    source                = "web"
    source_namespace      = "team"
    source_partition      = ""
    source_peer           = ""
    source_sameness_group = ""
    destination           = "db"
    destination_namespace = "default"
    destination_partition = ""
    action                = ""
    permissions           = "[{\"Action\": \"deny\"}]"
    jwt                   = ""
    precedence            = 9
    description           = "orders"
    meta = {
      "team" = "shop"
    }
  }
  "web => db" = {
    source                = "web"
    source_namespace      = "default"
    source_partition      = ""
    source_peer           = ""
    source_sameness_group = ""
    destination           = "db"
    destination_namespace = "default"
    destination_partition = ""
    action                = "allow"
    permissions           = ""
    jwt                   = ""
    precedence            = 9
    description           = "say \"hi\" $${x}\n%%{y}"
    meta = {
      "for" = "a"
    }
  }
}
services = {}
