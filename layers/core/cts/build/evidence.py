"""What a run was executed with: its modules and providers, each with a digest."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cts.build.cache import DATA, LOCK_FILE, MIRROR, MODULES, hash_over

MOST = 20
"""Modules, and providers: the record of a run is small."""
PROVIDER = re.compile(r'^provider "([^"]+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
VERSION = re.compile(r'^  version += "([^"]+)"', re.MULTILINE)
HASH = re.compile(r'"((?:h1|zh):[^"]+)"')


def providers(folder: Path) -> list[dict[str, str]]:
    """Of the lock file that `init` left below the root module: `source`, `version`, `digest`. Where
    it has several digests of a provider, `h1` counts, which is that of the installed package."""
    try:
        text = (folder / LOCK_FILE).read_text()
    except (OSError, ValueError):
        return []
    found = []
    for source, body in PROVIDER.findall(text)[:MOST]:
        version, hashes = VERSION.search(body), sorted(HASH.findall(body))
        digest = hashes[0] if hashes else ""
        found.append({"source": source, "version": version[1] if version else "", "digest": digest})
    return found


def size(folder: Path) -> int:
    """Bytes of what `init` made below the root module. What a link leads to is elsewhere, and does
    not count."""
    files = (each for name in (DATA, MIRROR) for each in (folder / name).rglob("*"))
    return sum(each.lstat().st_size for each in files)


def modules(folder: Path, shown: Callable[[str], str]) -> list[dict[str, str]]:
    """Of those that `init` installed or found, without the root module: `name` as Terraform has
    it, `source`, `version`, `digest` (`h1`, as of a package). A module that can't be read has an
    empty digest. `shown` takes the secrets out of a source."""
    try:
        listed = json.loads((folder / MODULES / "modules.json").read_text())["Modules"]
        return [_module(folder, each, shown) for each in listed if each["Key"]][:MOST]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _module(folder: Path, listed: dict[str, Any], shown: Callable[[str], str]) -> dict[str, str]:
    try:
        own = folder / listed["Dir"]
        digest = hash_over(own, _files(own))
    except OSError:
        digest = ""
    source, version = shown(str(listed.get("Source", ""))), str(listed.get("Version", ""))
    return {"name": listed["Key"], "source": source, "version": version, "digest": digest}


def _files(folder: Path) -> Iterator[Path]:
    """Without links, and without the folder of Git, which differs from clone to clone."""
    for file in sorted(folder.rglob("*")):
        own = ".git" in file.relative_to(folder).parts
        if file.is_file() and not file.is_symlink() and not own:
            yield file
