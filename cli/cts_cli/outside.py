"""Paths of a configuration that a push can't contain, because they are outside of its folder, and
how to bring the files in."""

import shlex
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain, count
from pathlib import PurePosixPath

from cts.config import bundle
from cts.config.blocks.model import Configuration


@dataclass(frozen=True, slots=True)
class Copy:
    source: str
    """As the configuration has it."""
    target: str
    """A path inside of the folder, for which nothing else is meant."""
    option: str
    """What has to be changed, such as `task.web.module`."""
    is_folder: bool

    @property
    def command(self) -> str:
        made = shlex.quote(str(PurePosixPath(self.target).parent))
        copied = f"cp {'-r ' if self.is_folder else ''}-- {shlex.quote(self.source)}"
        return f"mkdir -p {made} && {copied} {shlex.quote(self.target)}"


def copies(configuration: Configuration) -> list[Copy]:
    """Each option whose path is outside; the same path is copied to the same place."""
    targets: dict[str, str] = {}
    inside = {name for path in _paths(configuration) if (name := bundle.inside(path))}
    found = []
    for option, source, folder in _outside(configuration):
        if source not in targets:
            path = f"{folder}/{PurePosixPath(source).name}"
            targets[source] = _unused(path, {*targets.values(), *inside})
        is_module = folder == MODULES
        target = f"./{targets[source]}" if is_module else targets[source]
        found.append(Copy(source, target, option, is_module))
    return found


MODULES, VARIABLES = "modules", "variables"
"""Where copies go."""


def _outside(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    """Option, path, and where a copy goes."""
    for task in configuration.tasks:
        if bundle.is_local(task.module) and bundle.inside(task.module) is None:
            yield f"task.{task.name}.module", task.module, MODULES
        for at, name in enumerate(task.variable_files):
            if bundle.inside(name) is None:
                yield f"task.{task.name}.variable_files[{at}]", name, VARIABLES


def _paths(configuration: Configuration) -> Iterator[str]:
    for task in configuration.tasks:
        yield from task.variable_files
        if bundle.is_local(task.module):
            yield task.module


def _unused(path: str, taken: Set[str]) -> str:
    whole = PurePosixPath(path)
    others = (f"{whole.stem}-{number}{whole.suffix}" for number in count(2))
    tried = (str(whole.with_name(name)) for name in chain([whole.name], others))
    return next(each for each in tried if each not in taken)
