# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: edge-fw
# Description:

terraform {
  required_providers {
    acmefw = {
      source  = "acme/acmefw"
      version = "2.1.0"
    }
    local = "2.5.1"
  }
  backend "s3" {
    bucket               = "state-bucket"
    key                  = "terraform.tfstate"
    region               = "eu-west-1"
    workspace_key_prefix = "tasks"
  }
}

provider "acmefw" {
  features {
  }
  headers  = var.acmefw.headers
  host     = var.acmefw.host
  insecure = var.acmefw.insecure
  matrix   = var.acmefw.matrix
  port     = var.acmefw.port
  route {
    to = var.acmefw.route[0].to
  }
  route {
    to  = var.acmefw.route[1].to
    via = var.acmefw.route[1].via
  }
  timeouts {
    read  = var.acmefw.timeouts.read
    retry = var.acmefw.timeouts.retry
  }
  zones = var.acmefw.zones
}

provider "local" {
}

provider "panos" {
  hostname = var.panos.hostname
}

module "edge-fw" {
  source   = "git::ssh://git@example.com/edge.git?ref=v1.4.0"
  services = var.services

  zone = var.zone
}
