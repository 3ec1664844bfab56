"""HCL 2, the language of variable files and modules, as Terraform reads it."""
