# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: files
# Description:

# Service definition protocol v0
variable "services" {
  description = "Consul services of the task"
  type = map(
    object({
      id        = string
      name      = string
      kind      = string
      address   = string
      port      = number
      meta      = map(string)
      tags      = list(string)
      namespace = string
      status    = string

      node                  = string
      node_id               = string
      node_address          = string
      node_datacenter       = string
      node_tagged_addresses = map(string)
      node_meta             = map(string)

      cts_user_defined_meta = map(string)
    })
  )
}

variable "files" {
  description = "Configuration of the provider files"
  type        = any
  default     = null
  sensitive   = true
}
