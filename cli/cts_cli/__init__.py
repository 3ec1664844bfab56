"""The command line: pushes configurations, and shows what the deployed system does."""
