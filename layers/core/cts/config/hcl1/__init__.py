"""HCL 1, the language of configuration files, as CTS reads it."""
