"""Makes the test provider installable: a mirror for `terraform init`, in the project's `.tools`."""

from __future__ import annotations

import io
import platform
import sys
import uuid
import zipfile
from pathlib import Path

from local.tools import TOOLS

SOURCE = "example.com/test/files"
"""The `source` of the provider in `required_providers`."""
VERSIONS = ("1.0.0", "1.1.0")
MIRROR = TOOLS / "providers"
PROGRAM = Path(__file__).parent / "program.py"


def cli_configuration() -> str:
    """Writes the mirror. Returns the text of a file for TF_CLI_CONFIG_FILE, with which Terraform
    finds the test provider there, and every other provider where it always does."""
    for version in VERSIONS:
        _write(MIRROR / SOURCE / f"terraform-provider-files_{version}_{_target()}.zip", version)
    return f"""\
provider_installation {{
  filesystem_mirror {{
    path    = "{MIRROR}"
    include = ["{SOURCE}"]
  }}
  direct {{
    exclude = ["{SOURCE}"]
  }}
}}
"""


def _write(package: Path, version: str) -> None:
    """Always the same bytes, so that lock files stay valid."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo(f"terraform-provider-files_v{version}")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, f"#!{sys.executable} -IS\n# {version}\n{PROGRAM.read_text()}")
    if package.exists() and package.read_bytes() == content.getvalue():
        return
    package.parent.mkdir(parents=True, exist_ok=True)
    unfinished = package.with_name(f".{package.name}.{uuid.uuid4().hex}")
    unfinished.write_bytes(content.getvalue())
    unfinished.replace(package)


def _target() -> str:
    """This machine in Terraform's words, such as `linux_amd64`."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"
