# Two tasks that follow the services in Consul. A configuration of Consul-Terraform-Sync as it is.

buffer_period {
  min = "1s"
  max = "5s"
}

task {
  name        = "firewall"
  description = "A rule for each healthy instance of web and api"
  module      = "./modules/firewall"
  variable_files = ["firewall.tfvars"]

  condition "services" {
    names = ["web", "api"]
  }
}

task {
  name        = "dns"
  description = "A record for each service whose name begins with web"
  module      = "./modules/dns"

  condition "services" {
    regexp = "^web"
  }
}
