# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "s3" {
    allowed_account_ids = ["1", "2"]
    assume_role = {
      policy_arns = ["x"]
      role_arn    = "r"
      tags = {
        a = "b"
      }
    }
    bucket       = "b"
    key          = "web"
    region       = "eu-west-1"
    use_lockfile = true
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
