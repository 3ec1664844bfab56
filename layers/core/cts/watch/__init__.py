"""Pure: what to ask Consul and what an answer means."""
