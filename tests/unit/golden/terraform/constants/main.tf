# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description: Terraform 1.15

terraform {
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

# Terraform 1.15
module "web" {
  source   = "./modules/web"
  services = var.services

  rack = var.rack
  zone = var.zone
}
