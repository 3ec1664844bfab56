"""A Terraform provider for tests and the demo, which works without network."""
