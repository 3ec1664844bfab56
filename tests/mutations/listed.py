"""The lists of mutations, and how one of them changes a file."""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


@dataclass(frozen=True, slots=True)
class Mutation:
    list: str
    """The file that lists it."""
    name: str
    """What goes wrong, in words."""
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """What is run, as pytest takes it."""


def mutations() -> Iterator[Mutation]:
    for path in sorted(FOLDER.glob("*.toml")):
        for each in tomllib.loads(path.read_text())["mutation"]:
            yield Mutation(**each | {"list": path.name, "tests": tuple(each["tests"])})


def mutated(mutation: Mutation, root: Path) -> str:
    """The file's text with the mutation. Raises ValueError unless it fits in exactly one place."""
    file = root / mutation.file
    text = file.read_text() if file.exists() else ""
    if (found := text.count(mutation.old)) != 1:
        where = f"its text is in {mutation.file} {found} times" if text else "its file is gone"
        raise ValueError(
            f'{mutation.list}: "{mutation.name}" fits nowhere: {where}; it must be there once. '
            "Write what is there now, or drop the mutation"
        )
    return text.replace(mutation.old, mutation.new)


def misfits(chosen: Iterable[Mutation], root: Path = ROOT) -> list[str]:
    """A sentence for each mutation that does not fit."""
    found = []
    for each in chosen:
        try:
            mutated(each, root)
        except ValueError as error:
            found.append(str(error))
    return found
