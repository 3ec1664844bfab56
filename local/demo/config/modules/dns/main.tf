# A record for each service, with the addresses of its healthy instances.

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
    name    = string
    address = string
  }))
}

locals {
  addresses = { for service in var.services : service.name => service.address... }
}

resource "files_object" "record" {
  for_each = local.addresses

  name    = "${each.key}.example.net"
  content = "A ${join(" ", sort(each.value))}"
}
