"""Runs inside a build. `execute.py` is copied into each archive: imports nothing of ours."""
