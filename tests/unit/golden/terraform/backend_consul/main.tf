# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "consul" {
    address = "consul.example.com:8501"
    gzip    = true
    path    = "consul-terraform-sync/terraform"
    scheme  = "https"
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
