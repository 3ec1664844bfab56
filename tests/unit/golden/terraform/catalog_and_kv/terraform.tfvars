# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

catalog_services = {
  "my-web-\"$${x}\"" = []
  "web"              = ["B", "a", "b"]
}
consul_kv = {
  "a/key" = "1"
}
services = {}
