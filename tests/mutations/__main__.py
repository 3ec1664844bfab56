"""`make mutate`: apply each mutation alone to a copy of the project, and run its tests.

A mutation whose tests still pass has survived: then the tests, or the list, have to be mended.
`python -m tests.mutations [WORD ...]` tries those only whose name or file has one of the words.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[2]
COPIED = (
    "cli", "docs", "events", "functions", "layers", "local", "tests", "pyproject.toml",
    "template.yaml", "samconfig.toml", "Makefile", "README.md", "requirements-dev.txt",
)  # fmt: skip
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
LONGEST = 600.0
"""Seconds that the tests of one mutation may take: one that hangs is noticed, too."""


@dataclass(frozen=True, slots=True)
class Mutation:
    name: str
    """What goes wrong, in words."""
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """What is run, as pytest takes it."""


def mutations() -> Iterator[Mutation]:
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for each in tomllib.loads(path.read_text())["mutation"]:
            yield Mutation(
                each["name"], each["file"], each["old"], each["new"], tuple(each["tests"])
            )


def mutated(mutation: Mutation, root: Path) -> str:
    """The file's text with the mutation. Raises ValueError if it does not fit in one place."""
    text = (root / mutation.file).read_text()
    if text.count(mutation.old) != 1:
        found = text.count(mutation.old)
        raise ValueError(f"{mutation.name}: {mutation.file} has its text {found} times, not once")
    return text.replace(mutation.old, mutation.new)


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
        ended = subprocess.run(command, cwd=copy, capture_output=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return False
    if ended.returncode not in (0, 1, 2):  # passed, failed, could not even be collected
        raise RuntimeError(f"{shlex.join(command)}: {ended.stdout.decode()[-2000:]}")
    return ended.returncode == 0


def is_caught(mutation: Mutation, copy: Path) -> bool:
    with applied(mutation, copy):
        return not passes(mutation.tests, copy)


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


def main(words: list[str]) -> int:
    chosen = [
        each
        for each in mutations()
        if not words or any(word in each.name or word in each.file for word in words)
    ]
    began, survived = time.monotonic(), []
    with tempfile.TemporaryDirectory(dir=ROOT / ".local/tmp") as folder:
        copies: Queue[Path] = Queue()
        for n in range(WORKERS):
            copies.put(copied(Path(folder) / str(n)))

        if not passes(sorted({test for each in chosen for test in each.tests}), copies.queue[0]):
            raise SystemExit("the tests fail without any mutation: mend that first")

        def tried(mutation: Mutation) -> bool:
            copy = copies.get()
            try:
                return is_caught(mutation, copy)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(WORKERS) as pool:
            for mutation, caught in zip(chosen, pool.map(tried, chosen), strict=True):
                print(f"{'caught  ' if caught else 'SURVIVED'} {mutation.file}: {mutation.name}")
                survived += [] if caught else [mutation]
    minutes = (time.monotonic() - began) / 60
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught in {minutes:.1f} minutes")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
