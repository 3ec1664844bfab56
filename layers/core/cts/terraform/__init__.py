"""Pure: a task as Terraform text."""
