"""The configuration files of a bundle, as they were written."""

from collections import Counter

from cts.config import bundle, limits
from cts.config.blocks.finalize import Environment, finalize
from cts.config.blocks.merge import merge
from cts.config.blocks.model import Configuration
from cts.config.bundle import Files
from cts.config.limits import OverLimit
from cts.config.rules.problem import Code, Place, Problem
from cts.config.text.read import read


def configuration(files: Files) -> Configuration:
    """What the configuration files say, with every default, whatever is wrong with them."""
    return as_written(files, {})[1]


def as_written(files: Files, environment: Environment) -> tuple[Configuration, Configuration]:
    """What the configuration files say, and the same with every default, whatever is wrong."""
    try:
        names = [name for name in listed(files) if name in files]
    except OverLimit:
        names = []
    merged = merge(read(files[name], name)[0] for name in names)
    return merged, finalize(merged, environment)


def listed(files: Files) -> list[str]:
    """The names of the configuration files. Raises OverLimit."""
    lists = {name: len(files[name]) for name in (bundle.SOURCES,) if name in files}
    limits.check_size("the lists of files", lists, limits.LARGEST_CONFIGURATION)
    listed = bundle.configuration_files(files)
    if len(listed) > limits.MOST_CONFIGURATION_FILES:
        what = f"{len(listed):,} configuration files"
        raise OverLimit(f"{what}: the limit is {limits.MOST_CONFIGURATION_FILES:,}")
    times = Counter(name for name in listed if name in files)
    sizes = {name: len(files[name]) * n for name, n in times.items()}
    limits.check_size("the configuration files", sizes, limits.LARGEST_CONFIGURATION)
    return listed


def nothing_to_read(files: Files) -> Problem:
    deeper = any(name.endswith(bundle.CONFIGURATION) for name in files)
    fix = "put at least one .hcl or .json file at the top level of the bundle"
    if deeper:
        fix += ": files in folders are not read"
    return Problem(Place("bundle"), "", Code.NOTHING_TO_READ, "no configuration files found", fix)


def not_there(name: str) -> Problem:
    what, fix = f'the bundle has no file "{name}"', f"see the bundle's {bundle.SOURCES}"
    return Problem(Place(bundle.SOURCES), "", Code.FILE_MISSING, what, fix)
