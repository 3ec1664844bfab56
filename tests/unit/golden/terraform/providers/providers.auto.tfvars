# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description:

acmefw = {
  "features" = {}
  "headers" = {
    "k8s.io/x" = "say \"hi\" $${x}"
  }
  "host"     = "fw.example.net"
  "insecure" = false
  "matrix"   = [[1, 2], []]
  "port"     = 8443
  "route" = [
    {
      "to" = "10.0.0.0/8"
    },
    {
      "to"  = "10.1.0.0/16"
      "via" = null
    },
  ]
  "timeouts" = {
    "read" = "5s"
    "retry" = {
      "count" = 3
    }
  }
  "zones" = ["a", "b"]
}

local = {}
