# A rule for each instance. A module for a real firewall has the same variables, and resources of
# that firewall's provider.

terraform {
  required_providers {
    files = {
      source = "example.com/test/files"
    }
  }
}

variable "services" {
  description = "Consul services of the task"
  type = map(object({
    id      = string
    name    = string
    address = string
    port    = number
  }))
}

variable "zone" {
  description = "The zone the rules belong to"
  type        = string
}

resource "files_object" "rule" {
  for_each = var.services

  name    = each.value.id
  content = "allow ${var.zone} -> ${each.value.name} at ${each.value.address}:${each.value.port}"
}
