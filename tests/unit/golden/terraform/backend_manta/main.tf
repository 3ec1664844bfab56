# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "manta" {
    insecure_skip_tls_verify = false
    path                     = "web"
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
