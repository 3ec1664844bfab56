"""`make mutate`: apply each mutation alone to a copy of the project, and run its tests.

A mutation whose tests still pass has survived: then the tests, or the list, have to be mended.
`python -m tests.mutations [WORD ...]` tries those only whose name, file or list has one of the
words.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import TypeVar

from tests.mutations.listed import ROOT, Mutation, misfits, mutated, mutations

COPIED = (
    "cli", "docs", "events", "functions", "layers", "local", "tests", "pyproject.toml",
    "template.yaml", "samconfig.toml", "Makefile", "README.md", "requirements-dev.txt",
)  # fmt: skip
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
LONGEST = 600.0
"""Seconds that the tests of one mutation may take: one that hangs is noticed, too."""
ENVIRONMENT = {**os.environ, "MODEL_HISTORIES": "500"}
"""Some mistakes show in few of the model's histories."""

T = TypeVar("T")


@contextmanager
def applied(mutation: Mutation, copy: Path) -> Iterator[None]:
    path = copy / mutation.file
    before = path.read_text()
    path.write_text(mutated(mutation, copy))
    try:
        yield
    finally:
        path.write_text(before)


def passes(tests: Iterable[str], copy: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += ["-p", "no:randomly", "-m", "not soak", *tests]
    try:
        ended = subprocess.run(
            command, cwd=copy, env=ENVIRONMENT, capture_output=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if ended.returncode not in (0, 1, 2):  # passed, failed, could not even be collected
        raise RuntimeError(f"{shlex.join(command)}: {ended.stdout.decode()[-2000:]}")
    return ended.returncode == 0


def is_caught(mutation: Mutation, copy: Path) -> bool:
    with applied(mutation, copy):
        return not passes(mutation.tests, copy)


def by_file(chosen: Iterable[Mutation]) -> list[list[str]]:
    """The tests of all of these, each once, those of one file together."""
    files: dict[str, list[str]] = {}
    for test in sorted({test for each in chosen for test in each.tests}):
        files.setdefault(test.partition("::")[0], []).append(test)
    return list(files.values())


def copied(to: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, to / name, ignore=ignored)
        else:
            shutil.copy(source, to / name)
    (to / ".local/tmp").mkdir(parents=True)
    return to


def tried(chosen: list[Mutation], folder: Path) -> list[Mutation]:
    """Try them all, and tell of each. Returns those that survived."""
    copies: Queue[Path] = Queue()
    for n in range(WORKERS):
        copies.put(copied(folder / str(n)))

    def in_a_copy(what: Callable[[T, Path], bool], given: T) -> bool:
        copy = copies.get()
        try:
            return what(given, copy)
        finally:
            copies.put(copy)

    survived = []
    with ThreadPoolExecutor(WORKERS) as pool:
        tests = by_file(chosen)
        for some, passed in zip(
            tests, pool.map(lambda each: in_a_copy(passes, each), tests), strict=True
        ):
            if not passed:
                raise SystemExit(f"fail without any mutation, mend that first: {' '.join(some)}")
        for each, caught in zip(
            chosen, pool.map(lambda each: in_a_copy(is_caught, each), chosen), strict=True
        ):
            print(f"{'caught  ' if caught else 'SURVIVED'} {each.file}: {each.name}", flush=True)
            survived += [] if caught else [each]
    return survived


def main(words: list[str]) -> int:
    chosen = [
        each
        for each in mutations()
        if not words or any(word in f"{each.list} {each.name} {each.file}" for word in words)
    ]
    if found := misfits(chosen):
        raise SystemExit("\n".join(found))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=ROOT / ".local/tmp") as folder:
        survived = tried(chosen, Path(folder))
    minutes = (time.monotonic() - began) / 60
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught in {minutes:.1f} minutes")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
