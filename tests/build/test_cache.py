"""What `init` fetched is kept for the task's next runs."""

import io
import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from cts.build.cache import SYSTEMS
from cts.build.engine import system
from local.provider.mirror import MIRROR, SOURCE, VERSIONS
from tests.build.conftest import TASK, Place, placed
from tests.build.s3 import serving

pytestmark = pytest.mark.slow

MAIN = f"""
terraform {{
  required_providers {{
    files = {{
      source  = "{SOURCE}"
      version = ">= {VERSIONS[0]}"
    }}
  }}
}}
provider "files" {{ device = "device" }}
resource "files_object" "one" {{ name = "one" }}
"""
KEPT = f"work/cache/{TASK}/d1-{system()}.zip"
PACKAGE = f"work/cache/{TASK}/providers/{SOURCE}/{VERSIONS[0]}/{system()}.zip"


@dataclass
class Ran:
    """What `run-1` left: it was the first one, when there was the older version only."""

    device: Path
    objects: dict[str, bytes]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("ran")
    with serving() as s3, placed(s3, folder) as place:
        fetches_from_mirror(place, device=folder)
        assert runs(place, "run-1") == VERSIONS[0]
        return Ran(folder, dict(s3.objects))


@pytest.fixture
def mirror(place: Place, ran: Ran) -> Path:
    """Where providers come from: the older version only, at first. `run-1` has ended."""
    place.s3.objects.update(ran.objects)
    return fetches_from_mirror(place, ran.device)


def fetches_from_mirror(place: Place, device: Path) -> Path:
    place.environment["FILES_ROOT"] = str(device)
    folder = place.folder / "mirror"
    publish(folder, VERSIONS[0])
    settings = Path(place.environment["TF_CLI_CONFIG_FILE"])
    settings.write_text(settings.read_text().replace(str(MIRROR), str(folder)))
    return folder


def publish(mirror: Path, version: str) -> None:
    (mirror / SOURCE).mkdir(parents=True, exist_ok=True)
    for package in (MIRROR / SOURCE).glob(f"*_{version}_*.zip"):
        shutil.copy(package, mirror / SOURCE)


def runs(place: Place, run: str, definition: str = "d1") -> str:
    """The version of the provider that it worked with; why it failed."""
    archive = place.archive(run, MAIN, definition=definition)
    place.build(archive)
    if error := place.result(run)["error"]:
        return str(error)
    (found,) = (archive / ".terraform/providers" / SOURCE).iterdir()
    return found.name


def test_a_definition_keeps_its_providers_and_needs_no_registry(place: Place, mirror: Path) -> None:
    publish(mirror, VERSIONS[1])
    assert runs(place, "run-2") == VERSIONS[0]
    assert runs(place, "run-3", definition="d2") == VERSIONS[1]
    shutil.rmtree(mirror / SOURCE)
    Path(place.environment["TF_CLI_CONFIG_FILE"]).write_text("")  # nothing but the registry
    assert runs(place, "run-4") == VERSIONS[0]
    assert f"1 of 1 providers from s3://{KEPT}" in place.log("run-4")


def test_a_run_that_fetches_nothing_stores_nothing(place: Place, mirror: Path) -> None:
    kept = place.s3.objects[KEPT]
    assert runs(place, "run-2") == VERSIONS[0]
    assert place.s3.objects[KEPT] is kept
    del place.s3.objects[PACKAGE]
    runs(place, "run-3")
    assert PACKAGE in place.s3.objects
    assert place.s3.objects[KEPT] is not kept


def test_what_another_task_has_kept_is_not_looked_at(ran: Ran) -> None:
    mine = {name for name in ran.objects if name.startswith("work/cache/")}
    assert mine == {KEPT, PACKAGE}


@pytest.mark.parametrize("broken", [KEPT, PACKAGE])
@pytest.mark.parametrize("body", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_broken_is_fetched_again(
    place: Place, mirror: Path, broken: str, body: bytes
) -> None:
    place.s3.objects[broken] = body
    assert runs(place, "run-2") == VERSIONS[0]
    assert place.result("run-2")["status"] == "unchanged"


def test_a_package_that_was_altered_is_not_used(place: Place, mirror: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(place.s3.objects[PACKAGE])) as archive:
        (name,) = archive.namelist()
    place.s3.objects[PACKAGE] = zipped({name: "#!/bin/sh\ntouch altered\n"})
    assert runs(place, "run-2") == VERSIONS[0]
    assert f"s3://{PACKAGE} is not used: the lock file has no such hash" in place.log("run-2")
    assert not list(place.folder.rglob("altered"))
    assert runs(place, "run-3") == VERSIONS[0]
    assert "1 of 1 providers" in place.log("run-3")


def test_only_files_of_init_are_unpacked(place: Place, mirror: Path) -> None:
    place.s3.objects[KEPT] = zipped(
        {
            "main.tf": 'output "taken" {}',
            "../main.tf": "",
            "execute.py": "",
            ".terraform/providers.json": json.dumps(["../../../../x", 1]),
        }
    )
    assert runs(place, "run-2") == VERSIONS[0]


def test_a_run_goes_on_without_what_can_not_be_read(place: Place, mirror: Path) -> None:
    place.s3.fault = lambda _, path: 403 if path.startswith("work/cache/") else None
    assert runs(place, "run-2") == VERSIONS[0]
    assert f"s3://{KEPT} is not used: " in place.log("run-2")
    assert place.result("run-2")["status"] == "unchanged"


@pytest.mark.parametrize("is_for_all", [True, False])
def test_a_lane_begins_with_the_versions_of_the_other_one(
    place: Place, mirror: Path, *, is_for_all: bool
) -> None:
    """If they are those of a registry: a mirror names the packages of one system only."""
    runs(place, "run-1")
    publish(mirror, VERSIONS[1])
    with zipfile.ZipFile(io.BytesIO(place.s3.objects.pop(KEPT))) as archive:
        lock = archive.read(".terraform.lock.hcl").decode()
    if is_for_all:
        lock = lock.replace("hashes = [", f'hashes = ["zh:{"0" * 64}",')
    [other] = SYSTEMS - {system()}
    at = f"work/cache/{TASK}/d1-{other}.zip"
    place.s3.objects[at] = zipped({".terraform.lock.hcl": lock, "main.tf": "broken"})
    assert runs(place, "run-2") == VERSIONS[0 if is_for_all else 1]
    assert (f"versions of providers from s3://{at}" in place.log("run-2")) is is_for_all


def zipped(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()
