"""The only code that talks to external services. Adapters match the ports structurally."""
