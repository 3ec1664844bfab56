"""What a push holds: file name -> content, and the local modules among it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from posixpath import dirname, isabs, join, normpath

from cts.terraform.archive import zipped

Files = Mapping[str, bytes]

CONFIGURATION = (".hcl", ".json")
TERRAFORM = (".tf", ".tf.json")
LEFT_OUT = {".git", ".terraform"}
"""Folders that are no part of a module."""
SERVICES_VARIABLE = re.compile(rb'^[ \t]*variable[ \t]+"?services"?[ \t\r\n]*\{', re.MULTILINE)
SERVICES_VARIABLE_JSON = re.compile(rb'"services"\s*:')
SOURCE = re.compile(rb'^[ \t]*source[ \t]*=[ \t]*"(\.\.?/[^"\n]*)"', re.MULTILINE)
LARGEST_BUNDLE = 64 * 1024 * 1024
"""Bytes of a bundle's files in all: the publisher holds them in memory."""


def configuration_files(files: Files) -> list[str]:
    """The names of configuration files: those at the top, in byte order, as CTS reads a folder."""
    names = (name for name in files if "/" not in name and name.endswith(CONFIGURATION))
    return sorted(names, key=str.encode)


def inside(path: str) -> str | None:
    """A path written in the configuration, as a name in the bundle; None if it leads outside."""
    normal = normpath(path)
    return None if isabs(path) or normal == ".." or normal.startswith("../") else normal


def is_local(module: str) -> bool:
    """CTS's and Terraform's rule; anything else is an address that Terraform resolves."""
    return module.startswith(("./", "../")) or isabs(module)


def module_files(files: Files, folder: str) -> dict[str, bytes]:
    """The files of a local module, by name inside it."""
    prefix = "" if folder == "." else f"{folder}/"
    inner = sorted(name.removeprefix(prefix) for name in files if name.startswith(prefix))
    return {name: files[prefix + name] for name in inner if not LEFT_OUT & {*name.split("/")}}


def module_folders(files: Files) -> list[str]:
    """The folders that hold Terraform files, as a task would name them."""
    return sorted({f"./{dirname(name)}" for name in files if "/" in name and _terraform(name)})


def root_files(module: Files) -> Iterator[str]:
    """The Terraform files of the module itself, without those of its own modules."""
    return (name for name in module if "/" not in name and _terraform(name))


def declares_services(module: Files) -> bool:
    """Whether the module has the variable `services`, which CTS passes to every module."""
    return any(
        (SERVICES_VARIABLE_JSON if name.endswith(".json") else SERVICES_VARIABLE).search(
            module[name]
        )
        for name in root_files(module)
    )


def sources_outside(module: Files) -> Iterator[str]:
    """The local modules that a module uses from outside its own folder."""
    for name in filter(_terraform, module):
        for source in (found.decode(errors="replace") for found in SOURCE.findall(module[name])):
            if inside(join(dirname(name), source)) is None:
                yield source


def _terraform(name: str) -> bool:
    return name.endswith(TERRAFORM)


def content_digest(files: Files) -> str:
    """Hash over names and contents, not over an archive: compression may change, they don't."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


archive = zipped
"""A bundle is packed as a run's archive is."""
