"""What a configuration's problems say, and where they point.

What CTS refuses too is in the table: `test_config_cases.py`.
"""

import pytest

from cts.config.compile import compile_bundle
from cts.config.rules.problem import Code, Place, Problem

FILES = {
    "modules/web/main.tf": b'variable "services" { type = any }\n',
    "modules/bare/main.tf": b"# nothing\n",
    "modules/uses/main.tf": b'variable "services" {}\nmodule "x" {\n  source = "../common"\n}\n',
    "modules/nests/main.tf": b'variable "services" {}\nmodule "x" {\n  source = "./x"\n}\n',
    "modules/nests/x/y/main.tf": b'module "z" {\n  source = "../../z"\n}\n',
    "modules/json/main.tf.json": b'{"variable": {"services": {}}}',
    "modules/needs/main.tf": b'variable "services" {}\nvariable "zone" {}\n',
    "web.tfvars": b"a = 1\n",
}


def problems(text: str, file: str = "c.hcl") -> list[str]:
    """`line:column path [code]` of each problem."""
    result = compile_bundle({**FILES, file: text.encode()})
    assert (result.compiled is None) == bool(result.problems)
    return [brief(problem) for problem in result.problems]


def brief(problem: Problem) -> str:
    return f"{problem.place.line}:{problem.place.column} {problem.path} [{problem.code}]"


def task(inside: str = "", condition: str = 'condition "services" { names = ["s"] }') -> str:
    return f'task {{\nname = "t"\nmodule = "./modules/web"\n{condition}\n{inside}\n}}'


TOP = [
    pytest.param("consul { adress = 1 }", "1:10 consul.adress [unknown-option]", id="in-a-block"),
    pytest.param("consul = 1", "1:10 consul [wrong-type]", id="a-value-for-a-block"),
    pytest.param('consul "x" { }', "1:8 consul [unknown-option]", id="a-label-too-much"),
    pytest.param(
        'driver "terraform-cloud" { }',
        "1:8 driver.terraform-cloud.organization [missing-option]",
        id="without-organization",
    ),
    pytest.param(
        'buffer_period { enabled = "maybe" }', "1:27 buffer_period.enabled [wrong-type]", id="bool"
    ),
]


@pytest.mark.parametrize(("text", "expected"), TOP)
def test_a_mistake_in_a_file(text: str, expected: str) -> None:
    assert problems(text) == [expected]


INSIDE = [
    pytest.param("enabeld = 1", "5:1 task.t.enabeld [unknown-option]", id="unknown-option"),
    pytest.param(
        'module_input "consul-kv" { path = "p" }',
        "3:10 task.t.module [module-without-input]",
        id="module-without-the-input",
    ),
    pytest.param(
        'variable_files = ["web.tfvars"]',
        "5:18 task.t.variable_files [unknown-variable]",
        id="variable-the-module-lacks",
    ),
    pytest.param(
        "description = []", "5:15 task.t.description [wrong-type]", id="list-for-a-string"
    ),
    pytest.param('version = "1"', "5:11 task.t.version [local-version]", id="version-of-a-local"),
    pytest.param(
        'variable_files = ["../b.tfvars"]',
        "5:19 task.t.variable_files[0] [outside-bundle]",
        id="outside",
    ),
    pytest.param(
        'variable_files = ["/b.tfvars"]',
        "5:19 task.t.variable_files[0] [outside-bundle]",
        id="absolute",
    ),
]


@pytest.mark.parametrize(("inside", "expected"), INSIDE)
def test_a_mistake_in_a_task(inside: str, expected: str) -> None:
    assert problems(task(inside)) == [expected]


def test_names_that_consul_cannot_be_asked_for_in_a_list_of_services() -> None:
    block = '\nservice {\n name = "a/../b"\n id = "c//d"\n}'
    found = problems(task('services = ["web", "a//b", "c//d"]', condition="") + block)
    assert [each.partition(" ")[2] for each in found] == [
        "task.t.services[1] [invalid-value]",
        "service.a/../b.name [invalid-value]",
    ]


def test_a_variable_that_is_no_expression() -> None:
    text = task('variables { zone = "x y" }').replace("./modules/web", "m")
    assert problems(text) == ["5:20 task.t.variables.zone [variable-file]"]


LACKS = [
    pytest.param('condition "catalog-services" { regexp = "" }', "catalog_services", id="names"),
    pytest.param('condition "consul-kv" { path = "a/" recurse = true }', "consul_kv", id="keys"),
]


@pytest.mark.parametrize(("condition", "variable"), LACKS)
def test_what_a_local_module_must_declare_or_the_condition_must_keep(
    condition: str, variable: str
) -> None:
    text = task(condition=condition)
    [problem] = compile_bundle({**FILES, "c.hcl": text.encode()}).problems
    assert problem.what == f'module "./modules/web" of task "t" has no variable "{variable}"'
    assert "use_as_module_input = false" in problem.fix
    kept = text.replace('" {', '" { use_as_module_input = false')
    assert not problems(kept)


CONDITIONS = [
    pytest.param(
        'condition "schedule" { cron = "0 0 31 2 *" }',
        "4:31 task.t.condition.schedule.cron [invalid-cron]",
        id="never",
    ),
    pytest.param("condition { }", "4:1 task.t.condition [condition-type]", id="without-type"),
    *(
        pytest.param(
            f'condition "consul-kv" {{ path = "{path}" use_as_module_input = false }}',
            "4:32 task.t.condition.consul-kv.path [invalid-value]",
            id=f"path {path}",
        )
        for path in ("//", "a//b", "a//", "/./a", "a/..", "a\\u00a0b", "a\\nb")
    ),
    *(
        pytest.param(
            f'condition "services" {{ names = ["web", "{name}"] }}',
            "4:40 task.t.condition.services.names[1] [invalid-value]",
            id=f"name {name}",
        )
        for name in (".", "..", "/a", "a//b", "a/../b")
    ),
    *(
        pytest.param(
            f'condition "{label}" {{ {more} use_as_module_input = false '
            'node_meta = { "a" = "b:c" "a:b" = "c" } }',
            f"4:{column} task.t.condition.{label}.node_meta [invalid-value]",
            id=f"colon in a key of {label}",
        )
        for label, more, column in (
            ("catalog-services", 'regexp = ""', 72),
            ("nodes", "", 50),
        )
    ),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_a_mistake_in_a_condition(condition: str, expected: str) -> None:
    assert problems(task(condition=condition)) == [expected]


@pytest.mark.parametrize(
    ("module", "code"),
    [
        pytest.param("./modules/wbe", Code.MODULE_MISSING, id="no-folder"),
        pytest.param("./modules", Code.MODULE_MISSING, id="no-terraform-in-it"),
        pytest.param("modules/web", Code.MODULE_MISSING, id="a-folder-without-dot"),
        pytest.param("../web", Code.OUTSIDE_BUNDLE, id="above"),
        pytest.param("./modules/../../web", Code.OUTSIDE_BUNDLE, id="above-by-detour"),
        pytest.param("/srv/web", Code.OUTSIDE_BUNDLE, id="absolute"),
        pytest.param("./modules/bare", Code.MODULE_WITHOUT_INPUT, id="no-services-variable"),
        pytest.param("./modules/needs", Code.MISSING_VARIABLE, id="a-required-variable"),
        pytest.param("./modules/uses", Code.NOT_SUPPORTED_YET, id="uses-a-neighbour"),
        pytest.param("", Code.MISSING_OPTION, id="empty"),
    ],
)
def test_a_module_that_cannot_work(module: str, code: Code) -> None:
    text = task().replace("./modules/web", module)
    assert problems(text) == [f"3:10 task.t.module [{code}]"]


@pytest.mark.parametrize(
    "module",
    [
        "./modules/web",
        "./modules/json",
        "./modules/nests",
        "m",
        "a/b/c",
        "git::https://x.example/r.git//sub?ref=v1",
        "github.com/a/b",
    ],
)
def test_a_module_that_may_work(module: str) -> None:
    assert problems(task().replace("./modules/web", module)) == []


@pytest.mark.parametrize("name", ["名", "a·b", "a-"])
def test_a_task_name(name: str) -> None:
    assert problems(task().replace('"t"', f'"{name}"')) == []


@pytest.mark.parametrize("name", ["a b", "-a", "a²", "a/b"])
def test_not_a_task_name(name: str) -> None:
    expected = f"2:8 task.{name}.name [invalid-task-name]"
    assert problems(task().replace('"t"', f'"{name}"')) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("driver { }", id="driver-without-label"),
        pytest.param('CONSUL { Address = "c" }', id="keys-in-any-case"),
        pytest.param('consul = { address = "a" }', id="block-as-attribute"),
        pytest.param("buffer_period { enabled = 1 }", id="number-for-a-bool"),
        pytest.param('buffer_period { min = ["3s"] }', id="list-of-one-for-a-value"),
    ],
)
def test_what_cts_accepts(text: str) -> None:
    assert problems(text) == []


JSON = [
    pytest.param(
        '{"task": {"x": 1,\n "name": "t"}}', "1:11 task.t.x [unknown-option]", id="option"
    ),
    pytest.param('{"consul": {"address": ["a"]}}', "1:24 consul.address [wrong-type]", id="list"),
]


@pytest.mark.parametrize(("text", "expected"), JSON)
def test_a_mistake_in_json(text: str, expected: str) -> None:
    assert expected in problems(text, "c.json")


@pytest.mark.parametrize("text", ["null", '{"consul": null}', '{"task": {}, "consul": {}}'])
def test_json_that_cts_accepts(text: str) -> None:
    assert problems(text, "c.json") == []


def test_a_labelled_task_is_read_as_if_it_had_no_label() -> None:
    found = problems('task "web" {\n  name = "web"\n  modul = "m"\n}')
    assert "1:6 task[0].web [unknown-option]" in found
    assert "3:3 task.web.modul [unknown-option]" in found


def test_all_problems_come_at_once_in_the_order_of_files_and_lines() -> None:
    result = compile_bundle({
        "b.hcl": task("enabeld = true").encode(),
        "a.hcl": b'port = "x"\nconsul { token = ["s3cret", "s"] }\n',
        "c.json": b'{"tasks": []}',
        "d.hcl": b"a = ;",
    })  # fmt: skip
    assert [f"{p.place.file} {brief(p)}" for p in result.problems] == [
        "a.hcl 1:8 port [wrong-type]",
        "a.hcl 2:18 consul.token [wrong-type]",
        "b.hcl 3:10 task.t.module [module-missing]",
        "b.hcl 5:1 task.t.enabeld [unknown-option]",
        "c.json 1:2 tasks [unknown-option]",
        "d.hcl 1:5  [syntax]",
    ]
    assert "s3cret" not in "".join(map(str, result.problems))


def test_a_problem_reads_as_a_sentence() -> None:
    result = compile_bundle({**FILES, "c.hcl": task().replace("/web", "/wbe").encode()})
    (problem,) = result.problems
    assert str(problem) == (
        'c.hcl:3:10: task.t.module: the bundle has no Terraform files in "./modules/wbe"; '
        'did you mean "./modules/web"? [module-missing]'
    )
    whole_file = Problem(Place("c.hcl"), "", Code.SYNTAX, "the file is empty")
    assert str(whole_file) == "c.hcl: the file is empty [syntax]"


def test_a_missing_module_lists_what_there_is() -> None:
    result = compile_bundle({**FILES, "c.hcl": task().replace("modules/web", "firewall").encode()})
    (problem,) = result.problems
    assert problem.fix.startswith("folders with Terraform files: ./modules/bare, ./modules/json, ")
    assert problem.fix.endswith(", ...")


def test_a_misspelt_option_is_put_right() -> None:
    result = compile_bundle({"c.hcl": b'consul { adress = "a" }'})
    assert [problem.fix for problem in result.problems] == ['did you mean "address"?']


def test_without_a_configuration_file_there_is_nothing_to_read() -> None:
    result = compile_bundle({"notes.txt": b"", "d/a.hcl": b""})
    (problem,) = result.problems
    assert (problem.code, problem.what) == (Code.NOTHING_TO_READ, "no configuration files found")
    assert "files in folders are not read" in problem.fix


def test_a_file_that_is_not_text_is_said_to_be_so() -> None:
    result = compile_bundle({"c.hcl": b"a = 1\n\xff"})
    assert [brief(problem) for problem in result.problems] == ["2:1  [syntax]"]


def test_a_max_below_min_is_raised_with_a_warning() -> None:
    result = compile_bundle({"c.hcl": b'buffer_period { min = "7s" max = "3s" }'})
    assert not result.problems
    assert [brief(problem) for problem in result.warnings] == [
        "1:34 buffer_period.max [invalid-buffer]"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            task().replace("module =", "modul ="), "3:1 task.t.modul [unknown-option]", id="option"
        ),
        pytest.param(
            task(condition='condition "services" { nams = ["s"] }'),
            "4:24 task.t.condition.services.nams [unknown-option]",
            id="names",
        ),
        pytest.param(task().replace('"./modules/web"', "null"), "3:10  [syntax]", id="syntax"),
        pytest.param(
            task('variable_file = ["z"]').replace("/web", "/needs"),
            "5:1 task.t.variable_file [unknown-option]",
            id="variable-files",
        ),
    ],
)
def test_what_only_follows_from_a_mistake_is_not_said(text: str, expected: str) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('provider "panos" { }\n' + task('providers = ["panos"]'), id="former-name"),
        pytest.param('teraform_provider "p" { }\n' + task('providers = ["p"]'), id="misspelt"),
        pytest.param(
            "terraform_provider { a = 1 }\n" + task('providers = ["p"]'), id="without-name"
        ),
        pytest.param('a = \nterraform_provider "p" { }\n' + task('providers = ["p"]'), id="syntax"),
        pytest.param(task(condition='condition "consul_kv" { path = "x" }'), id="condition-type"),
        pytest.param(task(condition='conditon "services" { names = ["s"] }'), id="condition"),
        pytest.param(task(condition="service = ['s']".replace("'", '"')), id="services"),
        pytest.param(task(condition="condition = 1"), id="condition-of-another-type"),
    ],
)
def test_what_only_follows_from_a_mistake_is_no_warning_either(text: str) -> None:
    result = compile_bundle({**FILES, "c.hcl": text.encode()})
    assert len(result.problems) == 1
    told = [problem.code for problem in result.warnings]
    assert {*told} <= {Code.NOT_SUPPORTED_YET}


def test_what_has_a_problem_gets_no_warning_beside_it() -> None:
    result = compile_bundle({"c.hcl": b'log_level = "LOUD"\nport = 1'})
    assert [brief(problem) for problem in result.problems] == ["1:13 log_level [invalid-value]"]
    assert [brief(problem) for problem in result.warnings] == ["2:8 port [not-needed]"]


TEN_MISTAKES = {
    "10-global.hcl": """
log_level = "LOUD"
consul {
  adress = "consul.example.com:8500"
  kv_path = ["a", "b"]
}
driver "terraform" {
  version = "~> 1.5"
  backend "http" {}
}
""",
    "20-providers.hcl": """
terraform_provider "panos" {
  task_env {
    PANOS_TIMEOUT = 30
  }
}
terraform_provider "panos" {}
""",
    "30-tasks.json": """{
  "task": [
    {"name": "web firewall", "module": "m", "condition": {"services": {"regexp": "^web(?=-)"}}},
    {"name": "dns", "module": "m", "condition": {"schedule": {"cron": "61 * * * *"}}}
  ]
}
""",
}


def test_ten_mistakes_in_three_files_are_all_told_in_order() -> None:
    files = {name: text.encode() for name, text in TEN_MISTAKES.items()}
    result = compile_bundle(dict(reversed(files.items())))
    assert [f"{p.place.file} {brief(p)}" for p in result.problems] == [
        "10-global.hcl 2:13 log_level [invalid-value]",
        "10-global.hcl 4:3 consul.adress [unknown-option]",
        "10-global.hcl 5:13 consul.kv_path [wrong-type]",
        "10-global.hcl 8:13 driver.terraform.version [invalid-version]",
        "10-global.hcl 9:11 driver.terraform.backend.http [backend]",
        "20-providers.hcl 4:21 terraform_provider.panos.task_env.PANOS_TIMEOUT [wrong-type]",
        "20-providers.hcl 7:1 terraform_provider.panos [duplicate-provider]",
        "30-tasks.json 3:14 task.web firewall.name [invalid-task-name]",
        "30-tasks.json 3:82 task.web firewall.condition.services.regexp [invalid-regexp]",
        "30-tasks.json 4:71 task.dns.condition.schedule.cron [invalid-cron]",
    ]
    assert all(problem.what and problem.fix for problem in result.problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("buffer_period { min = 5 }", "1:23 buffer_period.min [invalid-value]"),
        ('task { name = "t" module = "m" }', "1:1 task.t [condition-type]"),
        (
            'terraform_provider "p" { key = "{{ env KEY }}" }',
            "1:32 terraform_provider.p.key [template]",
        ),
        (task().replace("/web", "/broken"), "1:1 task.t.module [syntax]"),
    ],
)
def test_what_was_hardly_meant_is_warned_of(text: str, expected: str) -> None:
    files = {**FILES, "modules/broken/main.tf": b"variable {}\n", "c.hcl": text.encode()}
    result = compile_bundle(files)
    assert not result.problems
    assert [brief(problem) for problem in result.warnings] == [expected]


def test_what_has_to_wait_is_told_beside_problems() -> None:
    cloud = 'driver "terraform-cloud" { organization = "o" }\n'
    key = 'serverless { git_ssh_key = "{{ env \\"KEY\\" }}" }\n'
    text = cloud + key + task() + "\ncolour = 1"
    result = compile_bundle({**FILES, "c.hcl": text.encode()})
    assert [brief(problem) for problem in result.problems] == ["9:1 colour [unknown-option]"]
    assert [brief(problem) for problem in result.warnings] == ["3:1 task.t [not-supported-yet]"]


def test_a_problem_of_one_task_hides_none_of_another() -> None:
    other = task().replace('"t"', '"u"').replace("./modules/web", "../outside")
    text = task().replace("./modules/web", "./modules/needs") + "\n" + other
    assert problems(text) == [
        "3:10 task.t.module [missing-variable]",
        "9:10 task.u.module [outside-bundle]",
    ]
