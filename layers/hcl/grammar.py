"""Saves python-hcl2's grammar as `cts.config.hcl2.read` loads it."""

import sys
from pathlib import Path

from hcl2.parser import parser

with Path(sys.argv[1]).open("wb") as file:
    parser().save(file, exclude_options=["cache"])
