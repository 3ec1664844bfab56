"""Text to a checked configuration and a generation. Pure: no clock, no network, no files."""
