# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description: edge rules } of two lines

terraform {
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

# edge rules } of two lines
module "edge-fw" {
  source   = "acme/edge-fw/acmefw"
  version  = "1.4.0"
  services = var.services

  empty  = var.empty
  limits = var.limits
  ports  = var.ports
  rules  = var.rules
  zone   = var.zone
}
