"""The zip that a run executes: root module, inputs, local module, and the program itself."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cts.conditions.condition import Read
from cts.terraform.backend import backend, state_key
from cts.terraform.definition import Definition
from cts.terraform.files import files
from cts.terraform.hclwrite import statement
from cts.terraform.place import RunPlace
from cts.terraform.root import module_folder

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time a zip can hold: equal files make equal archives."""


def run_archive(
    definition: Definition,
    read: Read,
    *,
    description: str,
    module: Mapping[str, bytes] | None,
    place: RunPlace,
    run: Mapping[str, Any],
    program: bytes,
) -> bytes:
    """`read` is what was read of the condition's views, `module` the files of a local module,
    `program` a zip of the files that the build runs, and `run` what these need to know of this run.
    """
    contents: dict[str, str | bytes] = dict(
        files(
            definition,
            read,
            description=description,
            place=place,
            run=run["run"],
        )
    )
    contents |= module_files(definition, module)
    contents["run.json"] = run_facts(definition, place, run)
    return zipped(contents, program)


def move_archive(
    definition: Definition, place: RunPlace, run: Mapping[str, Any], program: bytes
) -> bytes:
    """The zip of a run that moves a state from or to Consul. `definition`: with its state in
    Consul; raises ValueError if it has another place by now. Its root module is the backend alone:
    the state's providers are not needed."""
    if definition.cloud or not definition.has_state_in_consul:
        raise ValueError("the configuration says where the state is, so it can't be moved")
    facts = {"state_key": state_key(definition), "consul_backend": True}
    main = statement("terraform", *backend(definition, place).splitlines())
    run_json = json.dumps({**asdict(place), **facts, **run}, indent=1)
    return zipped({"main.tf": main, "run.json": run_json}, program)


def module_files(definition: Definition, module: Mapping[str, bytes] | None) -> dict[str, bytes]:
    """Of a local module, as names in an archive."""
    folder = module_folder(definition.task)
    return {f"{folder}/{name}": body for name, body in (module or {}).items()}


def run_facts(definition: Definition, place: RunPlace, run: Mapping[str, Any]) -> str:
    return json.dumps({**asdict(place), **_facts(definition), **run}, indent=1)


def _facts(definition: Definition) -> dict[str, Any]:
    """What the build needs to know of the task besides its root module (`build/facts.py`)."""
    own_backend = {"state_bucket": "", "state_key": ""}
    panos = (each for each in definition.providers if each.name == "panos" and each.auto_commit)
    return (own_backend if definition.backend else {"state_key": state_key(definition)}) | {
        "environment": definition.whole_environment,
        "vault": definition.vault,
        "providers": sorted({each.name for each in definition.providers}),
        "role_arn": definition.role_arn,
        "after_apply": definition.after_apply,
        "commit": next((each.name for each in panos), ""),
        "persist_log": definition.persist_log,
        "git_ssh_key": definition.git_ssh_key,
        "consul_backend": definition.has_state_in_consul,
    }


def zipped(contents: Mapping[str, str | bytes], onto: bytes = b"") -> bytes:
    """A zip whose bytes depend on the contents alone, and on the zip whose files come before them.
    All files are executable: a bundle doesn't say which were, and modules may run scripts that they
    bring."""
    buffer = io.BytesIO(onto)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o100755 << 16
            archive.writestr(info, contents[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def with_file(archive: bytes, name: str, body: bytes) -> bytes:
    """An archive with one more file, which only its owner may read."""
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as whole:
        info = zipfile.ZipInfo(name, EPOCH)
        info.create_system, info.external_attr = 3, 0o100600 << 16
        whole.writestr(info, body)
    return buffer.getvalue()


def content_digest(files: Mapping[str, bytes]) -> str:
    """Hash over names and contents, not over an archive: compression may change, they don't."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def unzipped(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return {each.filename: source.read(each) for each in source.infolist() if not each.is_dir()}
