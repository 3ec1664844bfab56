"""Consul-Terraform-Sync as a serverless AWS deployment: the domain and its adapters."""

__version__ = "0.1.0"
