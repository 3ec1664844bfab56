"""A configuration as it was written: None is an option that is not there.

Unset and empty stay apart until all files are merged.
"""

from dataclasses import dataclass

from cts.config.problem import Where


@dataclass(frozen=True, slots=True)
class Consul:
    where: Where
    address: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Buffer:
    """A `buffer_period` block. Times in seconds."""

    where: Where
    enabled: bool | None = None
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """`condition "services"`."""

    where: Where
    names: tuple[str, ...] = ()
    regexp: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    where: Where
    name: str = ""
    description: str = ""
    enabled: bool = True
    module: str = ""
    version: str = ""
    variable_files: tuple[str, ...] = ()
    condition: Services | None = None
    has_condition: bool = False
    """A condition is written, though it may not be one that is supported."""
    buffer: Buffer | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file, or several merged."""

    consul: Consul | None = None
    buffer: Buffer | None = None
    tasks: tuple[Task, ...] = ()
