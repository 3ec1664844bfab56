"""The command line: pushes configurations and shows what the deployed stack is doing."""
