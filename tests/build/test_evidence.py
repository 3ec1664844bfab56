"""What a run was executed with is in its records."""

from pathlib import Path

import pytest

from cts.build.cache import LOCK_FILE, hash_of
from cts.build.evidence import modules, providers
from local.provider.mirror import SOURCE, VERSIONS
from tests.build.conftest import Place

MAIN = f"""
terraform {{
  required_providers {{
    files = {{
      source = "{SOURCE}"
    }}
  }}
}}
provider "files" {{ device = "device" }}
module "own" {{ source = "./modules/own" }}
"""
MODULE = 'resource "terraform_data" "one" {}\n'
LOCKED = """
provider "registry.terraform.io/hashicorp/aws" {
  version     = "5.1.0"
  constraints = ">= 5.0.0"
  hashes = [
    "zh:01",
    "h1:abc=",
  ]
}

provider "registry.terraform.io/hashicorp/dns" {
}
"""


@pytest.mark.slow
def test_a_run_records_its_modules_its_providers_and_its_plan(place: Place) -> None:
    place.environment["FILES_ROOT"] = str(place.folder)
    archive = place.archive("run-1", MAIN)
    (archive / "modules/own").mkdir(parents=True)
    (archive / "modules/own/main.tf").write_text(MODULE)
    assert place.build(archive) == 0
    result = place.result("run-1")
    digest = hash_of(archive / "modules/own")
    own = {"name": "own", "source": "./modules/own", "version": "", "digest": digest}
    assert result["modules"] == [own]
    [provider] = result["providers"]
    assert (provider["source"], provider["version"]) == (SOURCE, VERSIONS[-1])
    assert f'"{provider["digest"]}"' in (archive / LOCK_FILE).read_text()
    assert provider["digest"].startswith("h1:")
    plan = (place.record("run-1", "plan") or b"").decode()
    assert "# module.own.terraform_data.one will be created" in plan
    assert "Apply complete" not in plan


def test_the_digest_of_the_package_counts_more_than_those_of_its_archives(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(LOCKED)
    host = "registry.terraform.io/hashicorp"
    assert providers(tmp_path) == [
        {"source": f"{host}/aws", "version": "5.1.0", "digest": "h1:abc="},
        {"source": f"{host}/dns", "version": "", "digest": ""},
    ]


LISTED = '{"Modules": [{"Key": "", "Dir": "."}, {"Key": "m", "Source": "git::S3CRET", "Dir": "m"}]}'


def listed(folder: Path, text: str = LISTED) -> list[dict[str, str]]:
    (folder / ".terraform/modules").mkdir(parents=True, exist_ok=True)
    (folder / ".terraform/modules/modules.json").write_text(text)
    return modules(folder, lambda text: text.replace("S3CRET", "***"))


def test_the_digest_of_a_module_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "m/.git").mkdir(parents=True)
    (tmp_path / "m/main.tf").write_text("a")
    [first] = listed(tmp_path)
    assert first["source"] == "git::***"
    (tmp_path / "m/.git/index").write_text("of this clone")
    (tmp_path / "m/link").symlink_to("main.tf")
    assert listed(tmp_path) == [first]
    (tmp_path / "m/main.tf").write_text("b")
    assert listed(tmp_path)[0]["digest"] != first["digest"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Modules": [{}]}', '{"Modules": [7]}'])
def test_what_can_not_be_read_is_no_evidence(tmp_path: Path, text: str) -> None:
    assert listed(tmp_path, text) == []
    assert providers(tmp_path) == []
