"""Where the reader of a stack was found the last time, so that `cts status` answers without asking
CloudFormation. Kept in a file of the user's cache, for each stack and access key."""

import hashlib
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import boto3

from cts_cli.aws import credentials_of, explaining_errors

MOST = 50
"""Of what is kept; the oldest goes first. An assumed role has a new access key each hour."""
URL = re.compile(r"https?://[\w.:-]+/?", re.ASCII)


def find(session: boto3.Session, stack: str) -> str | None:
    """Its URL. Raises CommandError without credentials."""
    return _read().get(_key(session, stack))


def keep(session: boto3.Session, stack: str, url: str) -> None:
    """Written whole or not at all; where the user has no place for it, nothing is kept."""
    kept = {**_read(), _key(session, stack): url}
    text = json.dumps(dict([*kept.items()][-MOST:]))
    with suppress(OSError, RuntimeError):  # the latter without a home
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            written = Path(folder) / path.name
            written.write_text(text)
            written.chmod(0o600)
            written.replace(path)


def _path() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = named if named.is_absolute() else Path("~/.cache").expanduser()
    return folder / "cts/readers.json"


def _read() -> dict[str, str]:
    """What is kept, or nothing if it can't be read."""
    try:
        found = json.loads(_path().read_bytes())
    except (OSError, RuntimeError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: url for key, url in found.items() if isinstance(url, str) and URL.fullmatch(url)}


def _key(session: boto3.Session, stack: str) -> str:
    """Others' credentials, regions and endpoints may have a stack of the same name."""
    credentials = credentials_of(session)
    with explaining_errors("reading the AWS credentials"):
        access_key = credentials.get_frozen_credentials().access_key
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    facts = json.dumps([access_key, session.region_name, endpoint, stack])
    return hashlib.sha256(facts.encode()).hexdigest()
