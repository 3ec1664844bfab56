# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description:

terraform {
  backend "s3" {
    assume_role = {
      role_arn = "arn:aws:iam::123456789012:role/state"
    }
    bucket = "their-bucket"
    key    = "edge"
  }
}

provider "acmefw" {
  auth {
    key = var.acmefw.auth.key
    n   = var.acmefw.auth.n
  }
  host = var.acmefw.host
}

provider "aws" {
  region = var.aws.region
}

module "edge-fw" {
  source   = "https://example.com/edge.zip"
  services = var.services

  ports = var.ports
  rules = var.rules
  text  = var.text
  zone  = var.zone
}
