"""Starts the program before there is a run. It says on standard output that all is imported, and is
told on standard input which run it is for. If that ends without a word, there is none."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import cts.build.run  # noqa: F401  which `main` imports later
from cts.build.main import main

os.write(sys.stdout.fileno(), b".")
if told := sys.stdin.read():
    asked = json.loads(told)
    os.chdir(asked["folder"])
    os.environ.update(asked["environment"])
    # As for a program that begins now.
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.argv = ["execute.py", *asked["arguments"]]
    os._exit(main())
