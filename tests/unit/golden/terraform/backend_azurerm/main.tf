# Written anew for each run from the task's configuration: changes made here are lost.
#
# Task: web
# Description:

terraform {
  backend "azurerm" {
    container_name       = "b"
    key                  = "web"
    storage_account_name = "a"
    use_oidc             = true
  }
}

module "web" {
  source   = "acme/web/aws"
  services = var.services
}
