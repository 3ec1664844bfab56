"""What runs inside a build, with Python 3.11 and its standard library only: this package travels
in each archive, and imports nothing else of ours. `execute.py` starts it, or `waiting.py`, which
waits for a run; `run.py` is the way through it."""
