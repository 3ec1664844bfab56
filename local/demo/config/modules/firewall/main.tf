# Stands for a firewall: `terraform_data` is built into Terraform, so that no provider is needed.

variable "services" {
  description = "Consul services of the task"
  type = map(object({
    name    = string
    address = string
    port    = number
  }))
}

variable "zone" {
  description = "The zone the rules belong to"
  type        = string
}

resource "terraform_data" "rule" {
  for_each = var.services

  input = "allow ${var.zone} -> ${each.value.name} at ${each.value.address}:${each.value.port}"
}

output "rules" {
  value = [for rule in terraform_data.rule : rule.input]
}
