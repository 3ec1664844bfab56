"""HCL 2, the language of variable files and modules, read as Terraform reads it."""
