# Two tasks that follow the services in Consul. A configuration of Consul-Terraform-Sync as it is.

buffer_period {
  min = "1s"
  max = "5s"
}

# A provider for tests (local/provider): a folder stands for a device, a file for an object on it.
driver "terraform" {
  required_providers {
    files = {
      source  = "example.com/test/files"
      version = "~> 1.0"
    }
  }
}

terraform_provider "files" {
  alias  = "firewall"
  device = "firewall"
  token  = "{{ env \"FIREWALL_TOKEN\" }}"
}

task {
  name           = "firewall"
  description    = "A rule for each healthy instance of web and api"
  module         = "./modules/firewall"
  providers      = ["files.firewall"]
  variable_files = ["firewall.tfvars"]

  condition "services" {
    names = ["web", "api"]
  }
}

terraform_provider "files" {
  alias  = "dns"
  device = "dns"

  label {
    name  = "ttl"
    value = "60"
  }
}

task {
  name        = "dns"
  description = "A record for each service whose name begins with web"
  module      = "./modules/dns"
  providers   = ["files.dns"]

  condition "services" {
    regexp = "^web"
  }
}
