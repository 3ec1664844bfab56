"""Which version of Terraform, or of OpenTofu, a run works with."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import total_ordering

from cts.terraform.releases import OLDEST, RELEASES

TERRAFORM, OPENTOFU = "terraform", "opentofu"
"""The engines."""
NAMES = {TERRAFORM: "Terraform", OPENTOFU: "OpenTofu"}
VERSION = r"v?(\d{1,9}(?:\.\d{1,9})*)(?:-([0-9A-Za-z.~-]+))?(?:\+[0-9A-Za-z.~-]+)?"
WRITTEN_OUT = re.compile(r"v?(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}", re.ASCII)
"""As releases are named."""
REQUIREMENT = re.compile(rf"\s*(=|!=|>=|<=|>|<|~>|)\s*({VERSION})\s*", re.ASCII)


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """Missing numbers count as zeros; what follows a `+` does not count. A pre-release comes before
    its release."""

    numbers: tuple[int, ...]
    pre_release: str = ""

    @classmethod
    def read(cls, text: str) -> "Version":
        """Raises ValueError if it is not a version."""
        found = re.fullmatch(VERSION, text, re.ASCII)
        if not found:
            raise ValueError(f'"{text}" is not a version')
        numbers = [int(each) for each in found[1].split(".")]
        return cls(tuple(numbers + [0] * (3 - len(numbers))), found[2] or "")

    def __lt__(self, other: "Version") -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]:
        parts = self.pre_release.split(".") if self.pre_release else ()
        ranked = (
            (not each.isdecimal(), int(each) if each.isdecimal() else 0, each) for each in parts
        )
        return self.numbers, not self.pre_release, tuple(ranked)


@dataclass(frozen=True, slots=True)
class Requirement:
    operator: str
    version: Version
    last: int
    """The index of its last number that is written out, which `~>` lets grow."""

    def allows(self, version: Version) -> bool:
        """Terraform's rule for pre-releases: a range matches one only if it names one of the same
        release itself."""
        named = self.version
        if self.operator in EXACT:
            return (version == named) == (self.operator != "!=")
        if version.pre_release and not (named.pre_release and version.numbers == named.numbers):
            return False
        if self.operator != "~>":
            return COMPARISONS[self.operator](version, named)
        if named.pre_release and not version.pre_release:
            return False
        return version >= named and version.numbers[: self.last] == named.numbers[: self.last]


EXACT = ("", "=", "!=")
COMPARISONS: dict[str, Callable[[Version, Version], bool]] = {
    ">": lambda version, named: version > named,
    ">=": lambda version, named: version >= named,
    "<": lambda version, named: version < named,
    "<=": lambda version, named: version <= named,
}


def requirements(constraint: str) -> Iterator[Requirement]:
    """Those of a version constraint of Terraform, such as `>= 1.5, < 2.0`; none in an empty one.
    Raises ValueError. https://developer.hashicorp.com/terraform/language/expressions/version-constraints
    """
    for each in constraint.split(",") if constraint.strip() else ():
        found = REQUIREMENT.fullmatch(each)
        if not found:
            raise ValueError(f'"{each.strip()}" is not a version constraint')
        written = found[3].count(".")
        yield Requirement(found[1], Version.read(found[2]), written)


def allows(constraint: str, version: str) -> bool:
    """Raises ValueError if one is not valid."""
    read = Version.read(version)
    return all(each.allows(read) for each in requirements(constraint))


def unfit(engine: str, version: str) -> tuple[str, str] | None:
    """Why runs can't be told to work with exactly this version, and what would be right; None if
    they can."""
    oldest = OLDEST[engine]
    found = re.fullmatch(VERSION, version, re.ASCII)
    if not found:
        return f'"{version}" is not a single version', 'write it as "1.9.8"'
    if found[2]:
        return f'"{version}" is a pre-release', "use a release"
    if not WRITTEN_OUT.fullmatch(version):
        return f'"{version}" is not an exact version', 'write it as "1.9.8"'
    if tuple(int(part) for part in found[1].split(".")) < oldest:
        least = ".".join(map(str, oldest))
        return f"{NAMES[engine]} {version} is too old", f"use {least} or newer"
    return None


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """As text `terraform 1.9.8`."""

    engine: str
    version: str

    def __str__(self) -> str:
        return f"{self.engine} {self.version}"


def resolve(
    engine: str, configured: str, kept: str, default: str, constraint: str
) -> EngineVersion:
    """What a run works with: the version that is configured; else the one that the task keeps; else
    the stack's default, which is a version of Terraform; else the newest known release. Of these
    the first that the module allows, but what is configured is not replaced.

    `kept` is an `EngineVersion` as text; one of the other engine does not count. Raises ValueError
    if there is no version, or if the constraint can't be read.
    """
    if configured:
        if not allows(constraint, configured):
            raise ValueError(forbidden(engine, configured, constraint))
        return EngineVersion(engine, configured.removeprefix("v"))
    of_engine, _, version = kept.partition(" ")
    candidates = [version if of_engine == engine else "", default if engine == TERRAFORM else ""]
    for each in (*candidates, *RELEASES[engine]):
        if each and allows(constraint, each):
            return EngineVersion(engine, each)
    raise ValueError(
        f"the module requires {NAMES[engine]} {constraint}, and no release that this version of "
        "the program knows meets that: set terraform_version"
    )


def forbidden(engine: str, version: str, constraint: str) -> str:
    return f"{NAMES[engine]} {version} is configured, but the module requires {constraint}"
