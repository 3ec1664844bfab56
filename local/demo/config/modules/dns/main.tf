# Stands for a DNS server: one record per service, with the addresses of its healthy instances.

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

resource "terraform_data" "record" {
  for_each = local.addresses

  input = "${each.key}.example.net A ${join(" ", sort(each.value))}"
}

output "records" {
  value = [for record in terraform_data.record : record.input]
}
