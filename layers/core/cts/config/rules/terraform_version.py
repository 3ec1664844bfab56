"""Which Terraform versions may be asked for."""

import re
from collections.abc import Iterator

from cts.config.rules.problem import Code, Problem, Where

VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})*)(-[0-9A-Za-z.~-]+)?(\+[0-9A-Za-z.~-]+)?", re.ASCII)
OLDEST_TERRAFORM = (0, 13, 0)
"""Root modules name the source of their providers, which Terraform reads since then."""


def check_version(version: str, where: Where, option: str) -> Iterator[Problem]:
    if not version:
        return
    if not (found := VERSION.fullmatch(version)):
        what = f'"{version}" is not a single version'
        yield where.problem(Code.INVALID_VERSION, what, 'write it as "1.9.8"', option=option)
    elif found[1].count(".") < len(OLDEST_TERRAFORM) - 1:
        what = f'"{version}" is not an exact version'
        yield where.problem(Code.INVALID_VERSION, what, 'write it as "1.9.8"', option=option)
    elif found[2]:
        what = f'"{version}" is a pre-release'
        yield where.problem(Code.INVALID_VERSION, what, "use a release", option=option)
    elif tuple(int(part) for part in found[1].split(".")) < OLDEST_TERRAFORM:
        what = f"Terraform {version} is too old"
        yield where.problem(Code.INVALID_VERSION, what, "use 0.13.0 or newer", option=option)
