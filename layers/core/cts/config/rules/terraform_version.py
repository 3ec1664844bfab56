"""Which Terraform versions may be asked for."""

import re
from collections.abc import Iterator

from cts.config.rules.problem import Code, Problem, Where
from cts.terraform.releases import OLDEST
from cts.terraform.versions import NAMES, TERRAFORM, VERSION


def check_version(
    version: str, where: Where, option: str, engine: str = TERRAFORM
) -> Iterator[Problem]:
    oldest = OLDEST[engine]
    if not version:
        return
    if not (found := re.fullmatch(VERSION, version, re.ASCII)):
        what = f'"{version}" is not a single version'
        yield where.problem(Code.INVALID_VERSION, what, 'write it as "1.9.8"', option=option)
    elif found[1].count(".") < len(oldest) - 1:
        what = f'"{version}" is not an exact version'
        yield where.problem(Code.INVALID_VERSION, what, 'write it as "1.9.8"', option=option)
    elif found[2]:
        what = f'"{version}" is a pre-release'
        yield where.problem(Code.INVALID_VERSION, what, "use a release", option=option)
    elif tuple(int(part) for part in found[1].split(".")) < oldest:
        what = f"{NAMES[engine]} {version} is too old"
        fix = f"use {'.'.join(map(str, oldest))} or newer"
        yield where.problem(Code.INVALID_VERSION, what, fix, option=option)
