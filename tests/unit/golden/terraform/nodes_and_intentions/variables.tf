# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: mesh
# Description: hosts and rules

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

variable "nodes" {
  description = "Nodes of the Consul catalog"
  type = map(
    object({
      id               = string
      name             = string
      address          = string
      datacenter       = string
      tagged_addresses = map(string)
      meta             = map(string)
    })
  )
  const = true
}

variable "intentions" {
  description = "Intentions of Consul's mesh"
  type = map(
    object({
      source                = string
      source_namespace      = string
      source_partition      = string
      source_peer           = string
      source_sameness_group = string
      destination           = string
      destination_namespace = string
      destination_partition = string
      action                = string
      permissions           = string
      jwt                   = string
      precedence            = number
      description           = string
      meta                  = map(string)
    })
  )
}
