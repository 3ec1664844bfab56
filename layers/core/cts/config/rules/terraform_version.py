"""Which Terraform versions may be asked for."""

from collections.abc import Iterator

from cts.config.rules.problem import Code, Problem, Where
from cts.terraform.versions import TERRAFORM, unfit


def check_version(
    version: str, where: Where, option: str, engine: str = TERRAFORM
) -> Iterator[Problem]:
    if version and (wrong := unfit(engine, version)):
        what, fix = wrong
        yield where.problem(Code.INVALID_VERSION, what, fix, option=option)
