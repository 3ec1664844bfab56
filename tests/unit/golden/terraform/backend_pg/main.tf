# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "pg" {
    schema_name = "web"
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
