# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description: a module from the bundle

terraform {
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

# a module from the bundle
module "web" {
  source   = "./modules/web"
  services = var.services

  zone = var.zone
}
