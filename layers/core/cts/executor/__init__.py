"""The warm lane: a function that executes runs, and what its sandbox keeps between them."""
