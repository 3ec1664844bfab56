"""`init` is left out where a folder is as the definition's last run has left it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cts.build.facts import Facts, read_facts
from cts.build.init import STAMP, Init
from local.provider.mirror import SOURCE, VERSIONS
from tests.build.conftest import Place

KEPT = (".terraform", ".terraform.lock.hcl", "terraform.d")
"""As the warm lane keeps them."""
MAIN = f"""
terraform {{
  required_providers {{
    files = {{
      source  = "{SOURCE}"
      version = "{VERSIONS[0]}"
    }}
  }}
}}
provider "files" {{
  device = "%s"
}}
variable "content" {{}}
resource "files_object" "one" {{
  name    = "one"
  content = var.content
}}
"""


def executed(place: Place, number: int, *, code: int = 0) -> str:
    """A run in the folder that the one before has left: its log."""
    archive = place.archive(f"run-{number}", MAIN % (place.folder / "device"))
    (archive / "terraform.tfvars").write_text(f'content = "{number}"\n')
    last = place.folder / f"run-{number - 1}"
    for name in KEPT:
        if (last / name).exists():
            shutil.move(last / name, archive / name)
    assert place.build(archive, f"project:{number}") == code, place.log(f"run-{number}")
    return place.log(f"run-{number}")


def test_init_runs_until_the_task_has_a_state_and_then_no_more(place: Place) -> None:
    logs = [executed(place, number) for number in range(1, 5)]
    assert ["terraform init" in log for log in logs] == [True, True, False, False]
    assert ["init is left out" in log for log in logs] == [False, False, True, True]
    (held,) = (place.folder / "device").glob("*.json")
    assert json.loads(held.read_text())["content"] == "4"
    assert place.result("run-4")["providers"] == place.result("run-1")["providers"] != []


def test_a_package_that_was_changed_is_never_executed(place: Place) -> None:
    for number in range(1, 3):
        executed(place, number)
    package = next((place.folder / "run-2/.terraform/providers").glob("*/*/*/*/*"))
    copied = shutil.copytree(package, place.folder / "copied")
    package.unlink() if package.is_symlink() else shutil.rmtree(package)
    shutil.move(copied, package)
    (program,) = (each for each in package.iterdir() if each.is_file())
    program.write_bytes(program.read_bytes() + b"\n# changed\n")
    log = executed(place, 3, code=1)
    assert "init is left out" in log
    assert "checksums" in log
    assert place.record("run-3", "applying") is None


def test_an_inspection_leaves_no_stamp_of_another_backend(place: Place) -> None:
    archive = place.archive("run-1", 'resource "terraform_data" "one" {}\n')
    facts = json.loads((archive / "run.json").read_text()) | {"inspect": True}
    (archive / "run.json").write_text(json.dumps(facts))
    assert place.build(archive) == 0, place.log("run-1")
    assert not (archive / STAMP).exists()


# ---- what counts ---------------------------------------------------------------------------------


@pytest.fixture
def folder(place: Place) -> Path:
    folder = place.archive("run-1", 'module "web" {\n  source = "./modules/web"\n}\n# run-1\n')
    (folder / "modules/web/nested").mkdir(parents=True)
    (folder / "modules/web/nested/main.tf").write_text("# nested\n")
    (folder / "terraform.tfvars").write_text("a = 1\n")
    return folder


Change = Callable[[Path], object]


def written(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "is_done"),
    [
        (lambda _: None, True),
        (written("terraform.tfvars", "a = 2\n"), True),
        (written("modules/web/notes.txt", "text\n"), True),
        (written("main.tf", 'module "web" {\n  source = "./modules/other"\n}\n'), False),
        (written("modules/web/nested/main.tf", "# other\n"), False),
        (written("modules/web/versions.tf.json", "{}"), False),
        (written(".terraform.lock.hcl", "# other\n"), False),
        (lambda folder: (folder / STAMP).unlink(), False),
        (written("v.tf", 'variable "a" {\n  const = true\n}\n'), False),
    ],
)
def test_what_init_reads_counts_and_nothing_else(
    folder: Path, change: Change, is_done: bool
) -> None:
    facts = read_facts(folder / "run.json")
    Init(folder, facts).done(["-o"])
    change(folder)
    assert Init(folder, facts).is_done(["-o"]) is is_done


def test_options_and_the_version_count_and_the_run_does_not(folder: Path) -> None:
    facts = read_facts(folder / "run.json")
    Init(folder, facts).done(["-o"])

    def is_done(facts: Facts, *options: str) -> bool:
        return Init(folder, facts).is_done(options)

    assert not is_done(facts)
    assert not is_done(facts, "-o", "-p")
    assert not is_done(facts._replace(terraform_version="1.2.3"), "-o")
    assert not is_done(facts._replace(engine="opentofu"), "-o")
    main = folder / "main.tf"
    main.write_text(main.read_text().replace("run-1", "run-2"))
    assert is_done(facts._replace(run="run-2"), "-o")


def test_a_variable_that_says_where_a_module_is_leaves_no_stamp(folder: Path) -> None:
    (folder / "v.tf").write_text('variable "a" {\n  const = true\n}\n')
    Init(folder, read_facts(folder / "run.json")).done([])
    assert not (folder / STAMP).exists()
