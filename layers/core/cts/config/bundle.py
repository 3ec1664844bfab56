"""The content of a push: file name -> content, and the local modules in it."""

import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import dirname, isabs, normpath

from cts.build.masking import KEY_HEADER
from cts.config import limits
from cts.config.blocks.model import Configuration
from cts.config.blocks.schema import walk
from cts.config.limits import OverLimit, in_mib
from cts.config.names import wrong_entries
from cts.terraform.archive import zipped

Files = Mapping[str, bytes]

CONFIGURATION = (".hcl", ".json")
SOURCES = ".configuration"
"""A file that names the configuration files, one a line, where they are not those at the top."""
HELD = ".held"
"""A file that names the tasks that this push holds, as a list in JSON."""
TERRAFORM = (".tf", ".tf.json")
LEFT_OUT = {".git", ".terraform"}
"""Folders that do not belong to a module."""
NO_PART = re.compile(r"\.tfstate(?:\..*)?$|\.tfvars(?:\.json)?$")
"""States, which hold secrets, and variable files, which count in a root module alone."""
PRIVATE_KEY = re.compile(KEY_HEADER.encode())
ENTRY = b"PK\x01\x02"
"""What each entry in a zip's list of files begins with."""


def configuration_files(files: Files) -> list[str]:
    """The names of configuration files, in the order they are read: those that the push lists, or
    else those at the top, in byte order, as CTS reads a folder."""
    if SOURCES in files:
        lines = files[SOURCES].decode(errors="replace").split("\n")
        return [line for line in (line.rstrip("\r") for line in lines) if line]
    names = (name for name in files if "/" not in name and name.endswith(CONFIGURATION))
    return sorted(names, key=str.encode)


def inside(path: str) -> str | None:
    """A path written in the configuration, as a name in the bundle; None if it is outside."""
    normal = normpath(path)
    return None if isabs(path) or normal == ".." or normal.startswith("../") else normal


def is_local(module: str) -> bool:
    """CTS's and Terraform's rule; anything else is an address that Terraform resolves."""
    return module.startswith(("./", "../")) or isabs(module)


def module_files(files: Files, folder: str) -> dict[str, bytes]:
    """The files of a local module, by name inside it."""
    prefix = "" if folder == "." else f"{folder}/"
    inner = sorted(name.removeprefix(prefix) for name in files if name.startswith(prefix))
    others = {SOURCES, HELD, *(name for name in configuration_files(files) if not _terraform(name))}
    return {
        name: files[prefix + name]
        for name in inner
        if not LEFT_OUT & {*name.split("/")}
        and not NO_PART.search(name)
        and prefix + name not in others
    }


def module_folders(files: Files) -> list[str]:
    """The folders that hold Terraform files, as a task would name them."""
    return sorted({f"./{dirname(name)}" for name in files if "/" in name and _terraform(name)})


def root_files(module: Files) -> Iterator[str]:
    """The Terraform files of the module itself, without those of the modules it contains."""
    return (name for name in module if "/" not in name and _terraform(name))


def _terraform(name: str) -> bool:
    return name.endswith(TERRAFORM)


def variable_files(configuration: Configuration) -> set[str]:
    return _inside(path for task in configuration.tasks for path in task.variable_files)


def packed(files: Files, configuration: Configuration) -> dict[str, bytes]:
    """The content of a push: configuration files and the files they name, but no private keys.
    `cts push` removes their content from the files that name them."""
    names = {SOURCES, *configuration_files(files), *variable_files(configuration)}
    for folder in _inside({task.module for task in configuration.tasks if is_local(task.module)}):
        prefix = "" if folder == "." else f"{folder}/"
        names |= {prefix + name for name in module_files(files, folder)}
    for name in _inside(_named(configuration, secret=False)):
        beside = {each for each in files if each == name or each.startswith(f"{name}/")}
        names |= {each for each in beside if not PRIVATE_KEY.search(files[each])}
    names -= _inside(_named(configuration, secret=True)) | moved_files(configuration)
    return {name: files[name] for name in sorted(names) if name in files}


def moved_files(configuration: Configuration) -> set[str]:
    """The files whose content a push moves to a secret."""
    return _inside(secret.value for secret in configuration.secrets if secret.is_file)


@dataclass(frozen=True, slots=True)
class Named:
    """What a configuration names of its bundle."""

    files: frozenset[str]
    modules: frozenset[str]
    certificates: frozenset[str]
    """Folders of them."""
    not_modules: frozenset[str]
    """Addresses of modules that are probably meant to be folders with those names."""


def named(configuration: Configuration) -> Named:
    tasks, certificates = configuration.tasks, set[str]()
    files = {path for task in tasks for path in task.variable_files}
    files |= {secret.value for secret in configuration.secrets if secret.is_file}
    for _, key, known, value in walk(configuration):
        if known.is_file and isinstance(value, str) and value:
            (certificates if key == "ca_path" else files).add(value)
    modules = {task.module for task in tasks if task.module}
    local = set(filter(is_local, modules))
    return Named(
        *(frozenset(_inside(paths)) for paths in (files, local, certificates, modules - local))
    )


def _inside(paths: Iterable[str]) -> set[str]:
    return {name for path in paths if (name := inside(path)) is not None}


def _named(configuration: Configuration, *, secret: bool) -> Iterator[str]:
    """The certificates that options name, or the private keys."""
    for _, _, known, value in walk(configuration):
        if known.is_file and bool(known.secret) is secret and isinstance(value, str) and value:
            yield value


archive = zipped
"""A bundle is packed as a run's archive is."""


class UnreadableBundle(Exception):
    """What was pushed is not a bundle. Says why."""


def holding(files: Files, tasks: Iterable[str]) -> dict[str, bytes]:
    """The files of a push that holds these tasks, if any."""
    names = sorted(tasks)
    without = {name: body for name, body in files.items() if name != HELD}
    return {**without, HELD: json.dumps(names).encode()} if names else without


def held(files: Files) -> frozenset[str]:
    """The tasks that a push holds. Raises UnreadableBundle."""
    try:
        names = json.loads(files.get(HELD, b"[]"))
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise UnreadableBundle(f"its file {HELD} must be a list of task names, in JSON")
    return frozenset(names)


READ_IN_PARTS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of the others zipfile unpacks a part whole, whatever its size."""
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    IndexError,
    OSError,
    RuntimeError,  # encrypted, or compressed as zipfile doesn't know
    ValueError,
)
"""What zipfile raises for bytes that are not a zip."""


def unpacked(body: bytes) -> dict[str, bytes]:
    """Path -> content of a bundle's files. Raises UnreadableBundle or OverLimit."""
    if len(body) > limits.LARGEST_BUNDLE:
        raise OverLimit(f"the zip has more than {in_mib(limits.LARGEST_BUNDLE)}")
    # Archives among the files have entries, too.
    if body.count(ENTRY) > 10 * limits.MOST_FILES:
        raise OverLimit(f"the zip holds far more than {limits.MOST_FILES:,} files")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive_:
            entries = archive_.infolist()
            files = [each for each in entries if not each.is_dir()]
            if len(files) > limits.MOST_FILES:
                what = f"the bundle has {len(files):,} files"
                raise OverLimit(f"{what}, and the limit is {limits.MOST_FILES:,}")
            if any(len(each.filename) > limits.LONGEST_FILE_NAME for each in entries):
                what = f"more than {limits.LONGEST_FILE_NAME:,} characters"
                raise OverLimit(f"the name of a file in the bundle has {what}")
            if wrong := wrong_entries(entries):
                raise UnreadableBundle(wrong)
            return _contents(archive_, files)
    except BROKEN as error:
        raise UnreadableBundle(f"it is not a readable zip: {error}") from error


def _contents(archive_: zipfile.ZipFile, files: Iterable[zipfile.ZipInfo]) -> dict[str, bytes]:
    """Counted while unpacking: a zip may say anything of its sizes."""
    contents: dict[str, bytes] = {}
    left = limits.LARGEST_BUNDLE
    for each in files:
        if each.compress_type not in READ_IN_PARTS:
            what = f'"{each.filename}" is compressed in a way that is not read here'
            raise UnreadableBundle(f"{what}: use deflate, as zip does by default")
        with archive_.open(each) as file:
            content = file.read(left + 1)
        left -= len(content)
        if left < 0:
            what = f"the bundle unpacks to more than {in_mib(limits.LARGEST_BUNDLE)}"
            raise OverLimit(f'{what}: "{each.filename}" is the first that is too much')
        contents[each.filename] = content
    return contents
