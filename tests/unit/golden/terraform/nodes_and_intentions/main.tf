# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: mesh
# Description: hosts and rules

terraform {
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

# hosts and rules
module "mesh" {
  source     = "acme/mesh/aws"
  services   = var.services
  nodes      = var.nodes
  intentions = var.intentions
}
