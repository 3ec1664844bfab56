# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "kubernetes" {
    labels = {
      "for"         = "x"
      "k8s.io/team" = "net"
    }
    secret_suffix = "web"
    exec {
      api_version = "v1"
      args        = ["a"]
      command     = "login"
      env = {
        A = "b"
      }
    }
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
