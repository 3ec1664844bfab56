# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

provider "aws" {
  region = var.aws.region
  default_tags {
    tags = merge(var.aws.default_tags.tags, {
      "cts:run"  = "web-20261129-100000-abcdef"
      "cts:task" = "web"
    })
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
