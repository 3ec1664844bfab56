"""What is refused or hardly meant, and what would be right: former options, files that stay behind,
lists in texts, keys that stand twice."""

import json
from collections.abc import Mapping

import pytest

from cts.config.compile import Result, compile_bundle
from cts.config.rules.problem import Code

MODULE = b'variable "services" {}\nvariable "catalog_services" { default = {} }'


def compiled(text: str, file: str = "c.hcl", more: Mapping[str, bytes] = {}) -> Result:
    return compile_bundle({"modules/web/main.tf": MODULE, **more, file: text.encode()})


def task(inside: str = "", condition: str = 'condition "services" { names = ["s"] }') -> str:
    return f'task {{\nname = "t"\nmodule = "./modules/web"\n{condition}\n{inside}\n}}'


def services(inside: str) -> str:
    return task(condition=f'condition "services" {{ {inside} }}')


FORMER = [
    ('wait { min = "5s" }', "wait", "buffer_period"),
    ("terraform { log = true }", "terraform", 'driver "terraform"'),
    ('provider "p" { }', "provider", "terraform_provider"),
    ("terraform_backend { consul { } }", "terraform_backend", 'backend "..."'),
    ("inspect_mode = true", "inspect_mode", "-inspect"),
    ("consul { self_registration { } }", "consul.self_registration", "service_registration"),
    ('service { name = "a" tag = "b" }', "service.a.tag", "filter ="),
    ('driver "terraform" { working_dir = "/x" }', "driver.terraform.working_dir", "at the top"),
    ('driver "terraform" { log_level = "x" }', "driver.terraform.log_level", "at the top"),
    ('driver "terraform" { data_dir = "x" }', "driver.terraform.data_dir", "remove it"),
    ('driver "terraform" { skip_verify = true }', "driver.terraform.skip_verify", "remove it"),
    (task('wait { min = "5s" }'), "task.t.wait", "buffer_period"),
    (task("terraform_backend { }"), "task.t.terraform_backend", 'driver "terraform"'),
    (task('variables_file = "x"'), "task.t.variables_file", "variable_files"),
    (
        task(condition='condition "catalog-services" { regexp = "" enable_tf_var = true }'),
        "task.t.condition.catalog-services.enable_tf_var",
        "use_as_module_input",
    ),
]


@pytest.mark.parametrize(("text", "path", "instead"), FORMER)
def test_of_a_former_option_is_told_what_took_its_place(text: str, path: str, instead: str) -> None:
    problems = compiled(text).problems
    assert [(each.path, each.code) for each in problems] == [(path, Code.UNKNOWN_OPTION)]
    assert "no longer has this option" in problems[0].what
    assert instead in problems[0].fix


@pytest.mark.parametrize(
    ("there", "fix"),
    [
        ("network.tfvars", 'did you mean "network.tfvars"?'),
        ("vars/network.tfvars", 'did you mean "vars/network.tfvars"?'),
        ("network.hcl", "paths are relative to the bundle"),  # is a configuration file
        ("network.tf", "paths are relative to the bundle"),
    ],
)
def test_a_missing_file_may_have_been_meant_with_another_ending(there: str, fix: str) -> None:
    text = task('variable_files = ["network.tfvar"]')
    (problem,) = compiled(text, more={there: b""}).problems
    assert (problem.code, problem.fix) == (Code.FILE_MISSING, fix)


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ('names = "[nginx-1, nginx-2]"', 'write names = ["nginx-1", "nginx-2"]'),
        ("names = \"['a']\"", 'write names = ["a"]'),
        ('names = "a,b"', 'write names = ["a", "b"]'),
        ('names = ["a", "b, c"]', 'write names = ["a", "b", "c"]'),
        (f'names = "{"a," * 50}"', "write one string for each element"),
        ('names = "a;b"', 'write names = ["a", "b"]'),
        ('names = "a  b"', 'write names = ["a", "b"]'),
        ('names = "a\\nb\\n"', 'write names = ["a", "b"]'),
        ('names = "a\\tb"', 'write names = ["a", "b"]'),
        ("names = \"'web'\"", 'write names = ["web"]'),
        ('names = "\\"web\\""', 'write names = ["web"]'),
        ('names = "{a, b}"', 'write names = ["a", "b"]'),
        ('names = ["a", "b c"]', 'write names = ["a", "b", "c"]'),
        ('names = "[]"', "write one string for each element"),
    ],
)
def test_a_text_that_looks_like_a_list_is_warned_of(given: str, fix: str) -> None:
    result = compiled(services(given))
    assert not result.problems
    (warning,) = result.warnings
    assert (warning.code, warning.fix) == (Code.INVALID_VALUE, fix)
    assert warning.path.startswith("task.t.condition.services.names")


@pytest.mark.parametrize(
    "inside",
    [
        'serverless { after_apply = ["sh", "-c", "a; b, c", "\'d\'"] }',
        'variable_files = ["a b.tfvars"]',
    ],
)
def test_a_text_with_blanks_may_be_one_element(inside: str) -> None:
    result = compiled(task(inside), more={"a b.tfvars": b""})
    assert not [each for each in result.warnings if each.code is Code.INVALID_VALUE]


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ('names = ["*"]', 'write regexp = "" for all services'),
        ('names = ["web-*"]', "use regexp instead"),
    ],
)
def test_a_star_in_a_name_is_warned_of(given: str, fix: str) -> None:
    result = compiled(services(given))
    assert not result.problems
    assert [(each.code, each.fix) for each in result.warnings] == [(Code.INVALID_VALUE, fix)]


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("git::https://deploy:pw@git.example.com/m.git", True),
        ("git::https://pat-0123456789abcdef@git.example.com/m.git", True),
        ("git::https://git.example.com/m.git?token=x", True),
        ("github.com/o/m?ref=v1&access_token=x", True),
        ("git@github.com:o/m.git?sshkey=x", True),
        ("https://b.s3.amazonaws.com/m.zip?X-Amz-Signature=x", True),
        ("https://a.blob.core.windows.net/m.zip?sv=1&sig=x", True),
        ("git::ssh://git@github.com/o/m.git?ref=v1", False),
        ("git::https://git.example.com/m.git?ref=token&depth=1", False),
        ("acme/x/y", False),
    ],
)
def test_a_credential_in_the_address_of_a_module_is_warned_of(address: str, is_told: bool) -> None:
    text = task().replace("./modules/web", address)
    result = compiled(text)
    assert not result.problems
    told = [(each.code, each.path) for each in result.warnings]
    assert told == ([(Code.LITERAL_SECRET, "task.t.module")] if is_told else [])


# ---- files of the machine -------------------------------------------------------------------

FILES = [
    ("google", 'credentials = "account.json"', True),
    ("google", 'credentials = "/home/u/account.json"', True),
    ("kubernetes", 'config_path = "~/.kube/config"', True),
    ("kubernetes", 'config_paths = ["a", "b"]', True),
    ("kubernetes", 'exec { command = "/usr/local/bin/login" }', True),
    ("oci", 'private_key_path = "/home/u/.oci/key.pem"', True),
    ("aci", 'private_key = "certs/admin.key"', True),
    ("aws", 'shared_credentials_files = ["x"]', True),
    ("p", 'cert_file = "client"', True),
    ("p", 'ca = "../ca.pem"', True),
    ("p", 'task_env { KUBECONFIG = "kube/config" }', True),
    ("p", 'task_env { GOOGLE_APPLICATION_CREDENTIALS = "./a.json" }', True),
    ("p", 'host = "https://host/a.json"', False),
    ("p", 'path = "auth/approle/login"', False),
    ("p", 'base_path = "/api/v1"', False),
    ("p", 'profile = "default"', False),
    ("p", 'cert_file = "{{ env \\"F\\" }}"', False),
    ("p", 'config_path = ""', False),
]


@pytest.mark.parametrize(("name", "argument", "is_told"), FILES)
def test_an_argument_that_names_a_file_is_warned_of(
    name: str, argument: str, is_told: bool
) -> None:
    result = compiled(f'terraform_provider "{name}" {{\n{argument}\n}}')
    assert not result.problems
    assert not result.secrets
    told = [(each.code, each.place.line) for each in result.warnings]
    assert {*told} == ({(Code.FILE_MISSING, 2)} if is_told else set())


def test_of_a_backend_too() -> None:
    result = compiled('driver "terraform" { backend "gcs" { credentials = "account.json" } }')
    path = "driver.terraform.backend.gcs.credentials"
    assert [(each.code, each.path) for each in result.warnings] == [(Code.FILE_MISSING, path)]


def test_a_file_whose_content_is_moved_is_not_told() -> None:
    files = {"keys/account.json": b'{"a": 1}'}
    result = compiled(
        'terraform_provider "google" { credentials = "keys/account.json" }', more=files
    )
    assert [each.value for each in result.secrets] == ['{"a": 1}']
    assert not result.warnings


@pytest.mark.parametrize(
    "argument",
    ['password = "~/x"', 'token = "./abc.key"', 'private_key = "abc"', 'api_key = "a/b+c="'],
)
def test_what_may_be_the_secret_itself_stays_one(argument: str) -> None:
    result = compiled(f'terraform_provider "p" {{ {argument} }}')
    assert len(result.secrets) == 1
    assert not result.warnings


# ---- keys of JSON that stand twice ----------------------------------------------------------

TASKS = [
    {"name": name, "module": "acme/x/y", "condition": {"services": {"names": [name]}}}
    for name in ("one", "two")
]
TWICE = [
    pytest.param(
        f'{{"task": {json.dumps(TASKS[0])},\n"task": {json.dumps(TASKS[1])}}}',
        "1:2 task",
        'task "one" is ignored: "task" is set again at c.json:2:1',
        id="task",
    ),
    pytest.param(
        '{"task": [{"name": "t", "module": "a/b/c", "condition": {"services": {"names": ["a"],'
        '\n"names": ["b"]}}}]}',
        "1:71 task.condition.services.names",
        'this "names" is ignored: "names" is set again at c.json:2:1',
        id="option",
    ),
    pytest.param(
        '{"terraform_provider": {"p": {"a": 1,\n"a": 2}}}',
        "1:31 terraform_provider.p.a",
        'this "a" is ignored: "a" is set again at c.json:2:1',
        id="argument",
    ),
]


@pytest.mark.parametrize(("text", "place", "what"), TWICE)
def test_what_a_later_key_takes_the_place_of_is_told(text: str, place: str, what: str) -> None:
    result = compiled(text, "c.json")
    assert not result.problems
    (warning,) = [each for each in result.warnings if each.code is Code.REPEATED_BLOCK]
    assert f"{warning.place.line}:{warning.place.column} {warning.path}" == place
    assert warning.what == what


def test_of_what_is_left_out_the_inside_is_not_told() -> None:
    text = '{"vault": {"address": "a", "address": "b"}, "vault": {"address": "c"}}'
    warnings = compiled(text, "c.json").warnings
    assert [each.path for each in warnings] == ["vault"]


# ---- what becomes of a file, by what names it -----------------------------------------------

CONTENT = 'also accepts the content, store it with `cts secret set NAME` and write {{ env "NAME" }}'
NAMED_BY = [
    ('terraform_provider "p" { ca_file = "a/ca.pem" }', f"if the provider {CONTENT}"),
    ('terraform_provider "p" { task_env { CA_FILE = "a/ca.pem" } }', f"if the provider {CONTENT}"),
    (
        'driver "terraform" { backend "gcs" { credentials = "account.json" } }',
        f"if the backend {CONTENT}",
    ),
    (
        'driver "terraform" { backend "consul" { ca_file = "certs/ca.pem" } }',
        "remove it if this is the stack's Consul: its parameters say how builds reach it",
    ),
    ('serverless { environment { CA_FILE = "a/ca.pem" } }', f"if what reads it {CONTENT}"),
]


@pytest.mark.parametrize(("text", "fix"), NAMED_BY)
def test_the_advice_on_a_file_fits_what_names_it(text: str, fix: str) -> None:
    (warning,) = compiled(text, more={"certs/ca.pem": b""}).warnings
    assert (warning.code, warning.fix) == (Code.FILE_MISSING, fix)


CERTIFICATES = [
    ('cert = "certs/nope.pem"', [("cert", Code.FILE_MISSING)]),
    ('key = "/etc/k.pem"', [("key", Code.OUTSIDE_BUNDLE)]),
    ('ca_path = "cas"', [("ca_path", Code.FILE_MISSING)]),
    ('ca_cert = "ca.pem" cert = "../c.pem"', [
        ("ca_cert", Code.FILE_MISSING), ("cert", Code.OUTSIDE_BUNDLE),
    ]),
    ('ca_path = "certs" ca_cert = "certs/there.pem" cert = "certs/there.pem"', []),
    ('cert = "{{ env \\"C\\" }}"', []),
]  # fmt: skip


@pytest.mark.parametrize(("inside", "expected"), CERTIFICATES)
def test_a_missing_certificate_of_consul_is_warned_of(
    inside: str, expected: list[tuple[str, Code]]
) -> None:
    result = compiled(f"consul {{ tls {{ {inside} }} }}", more={"certs/there.pem": b""})
    assert not result.problems
    found = [each for each in result.warnings if each.code in dict(expected).values()]
    assert [(each.path, each.code) for each in found] == [
        (f"consul.tls.{option}", code) for option, code in expected
    ]
    for each in found:
        assert ("ConsulCaArn" if ".ca_" in each.path else "ConsulSecretArn") in each.fix


def test_certificates_of_the_deployment_are_not_files_of_the_bundle() -> None:
    files = {"c.hcl": b"consul { }"}
    assert not compile_bundle(files, {"CONSUL_CACERT": "/ca.pem"}).warnings
