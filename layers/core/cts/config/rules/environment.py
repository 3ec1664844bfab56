"""Environment variables that a task may not set."""

import re
from collections.abc import Iterable, Iterator

from cts.config.rules.problem import Code, Problem, Where

NAME = re.compile(r"[^=\0]+")
OF_TERRAFORM = re.compile(
    r"""TF_VAR_.* | TF_CLI_ARGS.* | TF_LOG.* | TF_INPUT | TF_IN_AUTOMATION | TF_WORKSPACE
      | TF_REATTACH_PROVIDERS | TF_APPEND_USER_AGENT | TF_DISABLE_PLUGIN_TLS
      | TF_SKIP_PROVIDER_VERIFY""",
    re.VERBOSE,
)
"""CTS refuses these too: they would change what a run does, or what it says."""


def check_names(names: Iterable[str], where: Where, option: str) -> Iterator[Problem]:
    for name in names:
        at = f"{option}.{name}"
        if not NAME.fullmatch(name):
            what = f'"{name}" is not a name of an environment variable'
            fix = "use letters, digits and underscores"
            yield where.problem(Code.INVALID_VALUE, what, fix, option=at)
        elif OF_TERRAFORM.fullmatch(name):
            what = f"{name} can't be set: each run sets what Terraform needs"
            yield where.problem(Code.INVALID_VALUE, what, "remove it", option=at)
