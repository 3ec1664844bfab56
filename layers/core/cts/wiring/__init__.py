"""Connect settings, adapters and ports. The only place where adapters are built.

One module for each function: a cold start pays per import.
"""
