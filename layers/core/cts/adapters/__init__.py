"""The only code that talks to anything. Each adapter satisfies the ports by shape."""
