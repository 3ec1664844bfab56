# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: files
# Description:

terraform {
  required_providers {
    files = {
      source  = "example.com/test/files"
      version = "1.1.0"
    }
  }
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

provider "files" {
  device = var.files.device
  label {
    name = var.files.label.name
  }
}

module "files" {
  source   = "acme/files/local"
  version  = "1.0.0"
  services = var.services

  content = var.content
}
