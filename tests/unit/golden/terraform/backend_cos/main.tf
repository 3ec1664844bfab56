# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "cos" {
    bucket = "b"
    region = "ap-guangzhou"
    assume_role {
      role_arn         = "r"
      session_duration = 3600
      session_name     = "s"
    }
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
