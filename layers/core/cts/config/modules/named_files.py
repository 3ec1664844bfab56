"""Files that a configuration names: whether the bundle has them."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from cts.config import bundle
from cts.config.blocks.model import ConsulBlock, Task
from cts.config.blocks.schema import walk
from cts.config.bundle import Files
from cts.config.rules.problem import Code, Problem, Where, did_you_mean
from cts.terraform.references import is_reference

PAIR = "or put the pair into the secret of the stack's parameter ConsulSecretArn"
AUTHORITY = "or name the CA in the stack's parameter ConsulCaArn"
INSTEAD = {"ca_cert": AUTHORITY, "ca_path": AUTHORITY, "cert": PAIR, "key": PAIR}
"""Of the files of `consul.tls`."""


class Bundled:
    """What a bundle has, looked at once for all tasks."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @cached_property
    def module_folders(self) -> list[str]:
        return bundle.module_folders(self.files)

    @cached_property
    def _names(self) -> list[str]:
        return sorted(self.files)

    def has(self, name: str) -> bool:
        """A file or a folder."""
        inside = f"{name}/"
        first = bisect_left(self._names, inside)
        return name in self.files or any(
            each.startswith(inside) for each in self._names[first : first + 1]
        )

    @cached_property
    def other_files(self) -> list[str]:
        """That are neither configuration nor Terraform's."""
        others = {*bundle.configuration_files(self.files)}
        names = (each for each in self.files if not each.endswith(bundle.TERRAFORM))
        return [each for each in names if each not in others]


def variable_files(task: Task, there: Bundled) -> Iterator[Problem]:
    for n, path in enumerate(task.variable_files):
        yield from _file(path, there, task.where, f"variable_files[{n}]")


def certificates(block: Any, there: Bundled) -> Iterator[Problem]:
    """Files that the builds need; those of a block that is not needed may be missing."""
    for inner, key, known, value in walk(block, unused=False):
        if known.is_file and value and not is_reference(value):
            yield from _file(value, there, inner.where, key)
            content = there.files.get(bundle.inside(value) or "", b"")
            if not known.secret and bundle.PRIVATE_KEY.search(content):
                what = "the certificate's file also contains a private key"
                fix = 'move it to a separate file, and name that file: key = "..."'
                yield inner.where.problem(Code.LITERAL_SECRET, what, fix, option=key)


def consul_certificates(consul: ConsulBlock | None, there: Bundled) -> Iterator[Problem]:
    """Warnings: a stack needs none of these files if its parameters name what takes their place."""
    if consul and consul.tls:
        for found in certificates(consul.tls, there):
            instead = INSTEAD[found.path.rpartition(".")[2]]
            is_there = found.code is Code.LITERAL_SECRET
            fix = found.fix if is_there else f"put the file into the bundle, {instead}"
            yield replace(found, fix=fix)


def _file(path: str, there: Bundled, where: Where, option: str) -> Iterator[Problem]:
    name = bundle.inside(path)
    if name is None:
        what = f'"{path}" is not a path inside the bundle'
        fix = "put the file into the bundle, and write its path relative to the top level"
        yield where.problem(Code.OUTSIDE_BUNDLE, what, fix, option=option)
    elif not there.has(name):
        what = f'the bundle has no file "{path}"'
        fix = did_you_mean(name, there.other_files) or "paths are relative to the bundle"
        yield where.problem(Code.FILE_MISSING, what, fix, option=option)
