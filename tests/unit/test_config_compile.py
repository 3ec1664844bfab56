"""From a bundle to definitions, modules and a generation."""

import io
import zipfile

import pytest

from cts.conditions.catalog_services import CatalogServicesCondition
from cts.conditions.services import ServicesCondition
from cts.config.compile import CONTRACT, Compiled, compile_bundle, generation
from cts.config.differences import differences, runs
from cts.generation import BufferPeriod, Generation
from cts.terraform.definition import Definition, Module, VariableFile

DECLARED = "".join(
    f'variable "{name}" {{\n  default = null\n}}\n' for name in ("services", "zone", "ports")
)
MODULE = {"modules/web/main.tf": DECLARED.encode()}
WEB = """
task {
  name           = "web"
  description    = "the web"
  module         = "./modules/web"
  variable_files = ["web.tfvars"]
  condition "services" {
    names = ["web", "api"]
  }
}
"""
FILES = {"tasks.hcl": WEB.encode(), "web.tfvars": b'zone = "dmz"\nports = [80]\n', **MODULE}


def compiled(files: dict[str, bytes]) -> Compiled:
    result = compile_bundle(files)
    assert not result.problems, "\n".join(map(str, result.problems))
    assert result.compiled
    return result.compiled


def web(text: str, **more: bytes) -> Definition:
    """The definition of the only task of a configuration."""
    (definition,) = compiled({**FILES, **more, "tasks.hcl": text.encode()}).definitions.values()
    return definition


def test_a_task_becomes_a_definition_and_an_entry() -> None:
    made = compiled(FILES)
    (digest,) = made.modules
    definition = made.definitions[made.tasks["web"].definition]
    assert definition == Definition(
        task="web",
        module=Module("./modules/web", digest=digest),
        condition=ServicesCondition(("api", "web")),
        variables={"zone": "dmz", "ports": [80]},
    )
    entry = made.tasks["web"]
    assert (entry.description, entry.enabled) == ("the web", True)
    assert entry.condition == definition.condition
    assert entry.buffer == BufferPeriod(5, 20)


def test_a_list_of_services_triggers_only_a_task_without_a_condition() -> None:
    alone = web('task {\n name = "t"\n module = "x/y/z"\n services = ["web"]\n}')
    beside = web(
        'task {\n name = "t"\n module = "x/y/z"\n services = ["web"]\n'
        'condition "catalog-services" {\n regexp = ""\n use_as_module_input = false\n}\n}'
    )
    assert (alone.condition, alone.inputs) == (ServicesCondition(("web",)), ())
    assert beside.condition == CatalogServicesCondition("", trigger_only=True)
    assert beside.inputs == (ServicesCondition(("web",)),)


def test_a_module_from_elsewhere_keeps_its_address_and_version() -> None:
    text = WEB.replace('"./modules/web"', '"acme/web/acme"\nversion = "~> 1.2"')
    assert web(text).module == Module("acme/web/acme", "~> 1.2")
    assert not compiled({**FILES, "tasks.hcl": text.encode()}).modules


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB.replace('"web", "api"', '"api", "web"'), id="names-in-another-order"),
        pytest.param(WEB.replace('"web", "api"', '"web", "api", "web"'), id="a-name-given-twice"),
        pytest.param("# note\n" + WEB.replace("=", "  =").replace("\n  ", "\n"), id="formatting"),
        pytest.param(WEB.replace("the web", "another"), id="description"),
        pytest.param(WEB.replace("module ", "enabled = false\nmodule "), id="enabled"),
        pytest.param(
            WEB.replace("module ", 'buffer_period { min = "1s" }\nmodule '), id="buffer-period"
        ),
        pytest.param(WEB.replace("./modules/web", "./modules//web/"), id="spelling-of-the-path"),
        pytest.param('consul { address = "c:1" }' + WEB, id="consul-address"),
    ],
)
def test_what_means_the_same_has_the_same_digest(text: str) -> None:
    assert web(text).digest == web(WEB).digest


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB.replace('"web"\n  desc', '"www"\n  desc'), id="name"),
        pytest.param(WEB.replace('"web", "api"', '"web"'), id="names"),
        pytest.param(WEB.replace('names = ["web", "api"]', 'regexp = "web"'), id="regexp"),
        pytest.param(WEB.replace('variable_files = ["web.tfvars"]', ""), id="variables"),
        pytest.param(WEB.replace("./modules/web", "acme/web/acme"), id="module"),
        pytest.param(
            WEB.replace('"./modules/web"', '"acme/web/acme"\nversion = "1"'), id="version"
        ),
    ],
)
def test_what_means_something_else_has_another_digest(text: str) -> None:
    assert web(text).digest != web(WEB).digest


def test_a_changed_module_or_variable_changes_the_digest() -> None:
    edited = {"modules/web/main.tf": MODULE["modules/web/main.tf"] + b'output "x" { value = 1 }\n'}
    assert web(WEB, **edited).digest != web(WEB).digest
    assert web(WEB, **{"web.tfvars": b'zone = "lan"\nports = [80]\n'}).digest != web(WEB).digest


def test_a_definition_names_the_constants_of_its_local_module() -> None:
    const = b'variable "where" {\n  default = "a"\n  const = true\n}\n'
    made = web(WEB, **{"modules/web/main.tf": DECLARED.encode() + const})
    assert (web(WEB).constants, made.constants) == ((), ("where",))


def test_a_definition_digest_is_the_one_of_earlier_versions() -> None:
    """An upgrade of ours runs nothing: if this fails, every task would run again."""
    text = 'task { name = "t" module = "a/b/c" condition "services" { names = ["s"] } }'
    assert web(text).digest == "436d7b1837334d1a95eead08ce3b25f0"
    assert web(WEB).digest == "f9a35b484f433d8de93f2e9a7a0c9af2"


def test_a_module_archive_holds_the_module_and_is_the_same_each_time() -> None:
    files = FILES | {
        "modules/web/scripts/run.sh": b"#!/bin/sh\n",
        "modules/web/.terraform/junk": b"junk",
        "modules/webs/main.tf": b"",
    }
    (archive,) = compiled(files).modules.values()
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        assert zipped.namelist() == ["main.tf", "scripts/run.sh"]
        assert zipped.read("main.tf") == MODULE["modules/web/main.tf"]
    assert [archive] == [*compiled(dict(reversed(files.items()))).modules.values()]


def test_the_whole_bundle_may_be_a_module() -> None:
    text = WEB.replace("./modules/web", "./").encode()
    made = compiled({"main.tf": MODULE["modules/web/main.tf"], **FILES, "tasks.hcl": text})
    (definition,) = made.definitions.values()
    assert definition.module.source == "./"


def test_two_tasks_may_share_a_module() -> None:
    made = compiled({**FILES, "more.hcl": WEB.replace('"web"\n  desc', '"www"\n  desc').encode()})
    assert len(made.tasks) == len(made.definitions) == 2
    assert len(made.modules) == 1


def test_a_later_variable_file_wins() -> None:
    text = WEB.replace('["web.tfvars"]', '["web.tfvars", "./more/b.auto.tfvars"]')
    variables = web(text, **{"more/b.auto.tfvars": b'zone = "lan"'}).variables
    assert variables == {"zone": "lan", "ports": [80]}


ONLY_TERRAFORM = 'zone = [{ a = "lan" }][*].a\nports = [443]\n'


def test_a_variable_file_that_only_terraform_reads_travels_as_it_is() -> None:
    text = WEB.replace('["web.tfvars"]', '["web.tfvars", "b.tfvars"]')
    files = {**FILES, "tasks.hcl": text.encode(), "b.tfvars": ONLY_TERRAFORM.encode()}
    result = compile_bundle(files)
    assert result.compiled
    (definition,) = result.compiled.definitions.values()
    assert definition.variables == {"zone": "dmz", "ports": [80]}
    assert definition.variable_files == (VariableFile(("ports", "zone"), ONLY_TERRAFORM),)
    (warning,) = result.warnings
    assert (str(warning.place), warning.code) == ("b.tfvars:1:24", "not-checked")
    assert "nothing in this file is checked" in warning.what


def test_what_counts_more_than_such_a_file_comes_after_it() -> None:
    text = WEB.replace('["web.tfvars"]', '["b.tfvars", "web.tfvars"]').replace(
        "condition", "serverless {\n variables = { zone = 1 }\n }\n condition", 1
    )
    definition = web(text, **{"b.tfvars": ONLY_TERRAFORM.encode()})
    assert definition.variables == {}
    assert definition.variable_files == (
        VariableFile(("ports", "zone"), ONLY_TERRAFORM),
        VariableFile(("ports", "zone"), 'ports = [80]\nzone  = "dmz"\n'),
        VariableFile(("zone",), "zone = 1\n"),
    )


def test_a_mistake_in_such_a_file_is_one() -> None:
    text = WEB.replace("web.tfvars", "b.tfvars")
    files = {**FILES, "tasks.hcl": text.encode(), "b.tfvars": b"zone = [1][*]\nports = nothing\n"}
    result = compile_bundle(files)
    assert [str(each.place) for each in result.problems] == ["b.tfvars:2:9"]


def test_the_names_in_such_a_file_are_held_against_the_module() -> None:
    text = WEB.replace("web.tfvars", "b.tfvars")
    files = {**FILES, "tasks.hcl": text.encode(), "b.tfvars": b"zonee = [1][*]\n"}
    assert [each.code for each in compile_bundle(files).problems] == ["unknown-variable"]


def test_the_address_of_consul_is_the_deployments_and_a_warning_says_so() -> None:
    result = compile_bundle({"a.hcl": b'consul { address = "10.0.0.5:8500" }'})
    assert result.problems == ()
    assert [str(each.place) + " " + each.code for each in result.warnings] == [
        "a.hcl:1:20 not-needed"
    ]


def test_json_and_hcl_give_the_same() -> None:
    text = (
        '{"task": [{"name": "web", "module": "./modules/web", "variable_files": ["web.tfvars"],'
        ' "description": "the web", "condition": {"services": {"names": ["web", "api"]}}}]}'
    )
    files = {name: content for name, content in FILES.items() if name != "tasks.hcl"}
    assert compiled({**files, "tasks.json": text.encode()}) == compiled(FILES)
    assert compiled({**files, "tasks.hcl": text.encode()}) == compiled(FILES)


WITHOUT_MODULE = b"""
task {
  name   = "web"
  module = "acme/web/any"
  condition "services" { names = ["web"] }
}
"""


def test_files_are_read_in_byte_order_and_those_in_folders_are_not() -> None:
    made = compiled({
        "b.json": b'{"buffer_period": {"min": "3s"}}',
        "a10.hcl": b'buffer_period { min = "2s" }',
        "Z.hcl": b'buffer_period { min = "1s" }' + WITHOUT_MODULE,
        "d/c.hcl": b"nonsense",
        "notes.HCL": b"nonsense",
    })  # fmt: skip
    assert made.tasks["web"].buffer == BufferPeriod(3.0, 20.0)


def of(number: int, **texts: str) -> Generation:
    files = {f"{name}.hcl": text.encode() for name, text in texts.items()}
    return generation(compiled(FILES | files), number, {"config/bundle.zip": f"v{number}"})


def test_a_generation_has_its_number_and_the_contract() -> None:
    assert (of(3).number, of(3).contract) == (3, CONTRACT)


def test_differences_name_the_tasks_that_come_go_and_run_again() -> None:
    other = 'task { name = "NAME" module = "a/b/c" condition "services" { names = ["s"] } }'
    old = of(1, a=other.replace("NAME", "gone"), b=other.replace("NAME", "same"))
    described = other.replace("NAME", "same").replace("module", 'description = "d"\nmodule')
    new = of(2, tasks=WEB.replace('"api"', '"db"'), b=described, c=other.replace("NAME", "new"))
    found = differences(runs(old), runs(new))
    assert (found.added, found.changed, found.removed) == (("new",), ("web",), ("gone",))
    assert differences({}, runs(new)).added == ("new", "same", "web")


@pytest.mark.parametrize(
    "written", [r"^web\\\\d+$", r"^web\\d+$"], ids=["as CTS needs it", "plain"]
)
def test_a_backslash_may_be_doubled_as_for_cts(written: str) -> None:
    text = f"""
        task {{
          name   = "web"
          module = "acme/web/any"
          condition "services" {{ regexp = "{written}" }}
        }}
    """
    compiled = compile_bundle({"tasks.hcl": text.encode()}).compiled
    assert compiled is not None
    assert compiled.tasks["web"].condition == ServicesCondition(regexp=r"^web\d+$")
