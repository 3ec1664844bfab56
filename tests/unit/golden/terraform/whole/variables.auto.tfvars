# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description: edge rules } of two lines

empty = {}
limits = {
  "burst"    = 10
  "k8s.io/x" = "y"
  "log"      = true
  "none"     = null
  "ratio"    = 0.5
}
ports = [80, 443]
rules = [
  {
    "from" = "a"
    "to"   = ["b", "c"]
  },
  {},
  [],
]
zone = "dmz"
