"""Every kind of secret that a folder may hold, and what becomes of it. All are made up."""

import json
from dataclasses import dataclass
from enum import Enum

CANARY = "c4nary7qx2c4nary7qx2c4"
NUMBER = "90817263540"
PEM = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"
PGP = "\n\n".join(PEM.replace("KEY", "KEY BLOCK").replace("PRIV", "PGP PRIV").split("\n", 1))
TASK = 'task {\n  name = "web"\n  module = "./m"\n  condition "services" { names = ["web"] }\n}\n'
VARIABLES = 'variable "services" {}\n'

Texts = dict[str, str]


class Fate(Enum):
    MOVED = "to a secret of the stack"
    REFUSED = "nothing is pushed"
    LEFT = "warned of, and not pushed"
    KEPT = "warned of, and pushed as it is"


@dataclass(frozen=True)
class Kind:
    name: str
    files: Texts
    fate: Fate
    place: str
    """File and line; no line is the whole file."""
    code: str = "literal-secret"
    secret: str = CANARY


def task(module: str) -> Texts:
    return {"a.hcl": TASK.replace("./m", module)}


def provider(arguments: str) -> Texts:
    return {"a.hcl": f'{TASK}terraform_provider "p" {{\n{arguments}\n}}\n', "m/main.tf": VARIABLES}


def module(more: Texts) -> Texts:
    return {"a.hcl": TASK, "m/main.tf": VARIABLES, **more}


def in_module(text: str) -> Texts:
    return module({"m/main.tf": VARIABLES + text})


JSON_TASK = {"name": "web", "module": "?", "condition": {"services": {"names": ["web"]}}}
JSON = json.dumps({"task": [JSON_TASK]}).replace(
    "?", "git::https://h/m?ref=v1\\u0026token=" + CANARY
)

ADDRESSES = [
    ("user and password", f"git::https://u:{CANARY}@git.example.com/m.git"),
    ("only a user", f"git::https://{CANARY}@git.example.com/m.git"),
    ("only a password", f"git::https://:{CANARY}@git.example.com/m.git"),
    ("over SSH", f"git::ssh://u:{CANARY}@git.example.com/m.git"),
    ("access_token", f"https://h.example.com/m.zip?access_token={CANARY}"),
    ("token", f"https://h.example.com/m.zip?archive=zip&token={CANARY}"),
    ("sshkey", f"git::ssh://git@h.example.com/m.git?ref=v1&sshkey=LS0tLS1{CANARY}%3D"),
    ("presigned", f"https://b.example.com/m.zip?X-Amz-Date=1&X-Amz-Signature={CANARY}"),
    ("without a scheme", f"github.com/o/m?ref=v1&access_token={CANARY}"),
]
IN_ADDRESS = [
    *(Kind(f"module, {name}", task(each), Fate.KEPT, "a.hcl:3") for name, each in ADDRESSES),
    Kind("module, in JSON", {"a.json": JSON}, Fate.KEPT, "a.json:1"),
    *(
        Kind(
            f"source, {name}",
            in_module(f'module "x" {{\n  source = "{each}"\n}}\n'),
            Fate.KEPT,
            "m/main.tf:3",
        )
        for name, each in ADDRESSES
    ),
    Kind(
        "source, around a variable",
        in_module(f'module "x" {{\n  source = "git::https://u:{CANARY}@${{var.h}}/m"\n}}\n'),
        Fate.KEPT,
        "m/main.tf:3",
    ),
    Kind(
        "source, behind a variable",
        in_module(f'module "x" {{\n  source = "git::https://${{var.u}}:{CANARY}@h/m"\n}}\n'),
        Fate.KEPT,
        "m/main.tf:3",
    ),
    Kind(
        "source, in JSON",
        module({"m/x.tf.json": f'{{"module": {{"x": {{"source": "{ADDRESSES[0][1]}"}}}}}}'}),
        Fate.KEPT,
        "m/x.tf.json:1",
    ),
    Kind(
        "source, in a module of the module",
        module({"m/inner/main.tf": f'module "x" {{\n  source = "{ADDRESSES[4][1]}"\n}}\n'}),
        Fate.KEPT,
        "m/inner/main.tf:2",
    ),
]  # fmt: skip

KEY_FILES = {
    "key.pem": PEM,
    "certs/server.key": PEM.replace("PRIVATE", "RSA PRIVATE"),
    "certs/chain.crt": f"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n{PEM}",
    "id_rsa": PEM.replace("PRIVATE", "OPENSSH PRIVATE"),
    "deploy": PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"),
    "account.json": json.dumps({"private_key": PEM}),
    "store.p12": CANARY,
    "store.jks": CANARY,
    "store.keystore": CANARY,
    "gpg.asc": PGP,
    "gpg.pem": PGP,
    "putty.ppk": f"PuTTY-User-Key-File-3: ssh-rsa\n{CANARY}",
    ".env": f"TOKEN={CANARY}",
    ".netrc": f"machine h login u password {CANARY}",
    ".terraformrc": f'credentials "h" {{ token = "{CANARY}" }}',
    "terraform.rc": f'credentials "h" {{ token = "{CANARY}" }}',
    "credentials.tfrc.json": f'{{"credentials": {{"h": {{"token": "{CANARY}"}}}}}}',
}
IN_FILES = [
    *(
        Kind(f"file {name}", module({f"m/{name}": text}), Fate.REFUSED, f"m/{name}")
        for name, text in KEY_FILES.items()
    ),
    Kind(
        "key in a .tf", in_module(f"locals {{\n  k = <<E\n{PEM}E\n}}\n"), Fate.KEPT, "m/main.tf:4"
    ),
    Kind(
        "token in a script",
        module({"m/x.sh": f"#!/bin/sh\ncurl -H 'X: ghp_{CANARY}'\n"}),
        Fate.KEPT,
        "m/x.sh:2",
    ),
]

ENV = '{{ env \\"X\\" }}'
OF_AWS = "{{resolve:secretsmanager:fw:SecretString:pw}}"
MOVED = {
    "text before a reference": f'password = "{CANARY}{ENV}"',
    "text behind a reference": f'token = "{ENV}{CANARY}"',
    "text between references": f'secret = "{ENV}-{CANARY}-{ENV}"',
    "text twice": f'api_key = "{CANARY}{ENV}{CANARY}"',
    "text in a secret of Vault": 'pw = "{{ with secret \\"kv/x\\" }}' + CANARY + '{{ end }}"',
    "text before a reference of AWS": f'password = "{CANARY}{OF_AWS}"',
    "text behind a reference of AWS": f'token = "{{{{resolve:ssm:/x}}}}{CANARY}"',
    "text between references of two kinds": f'secret = "{OF_AWS}{CANARY}{ENV}"',
    "password behind a user of AWS": f'url = "https://{OF_AWS}:{CANARY}@h/"',
    "text in a heredoc": f"password = <<E\n{CANARY}{{{{ env \"X\" }}}}\nE",
    "password before a reference": f'url = "https://u:{CANARY}@{ENV}/"',
    "reference in task_env": f'task_env {{ FW_TOKEN = "{ENV}{CANARY}" }}',
    "key with a reference": f'cert = "-----BEGIN PRIVATE KEY-----\\n{CANARY}{ENV}"',
    "password of an address behind a reference": f'dsn = "postgres://{ENV}:{CANARY}@h/x"',
    "text behind the password of an address": f'x = "https://user:{ENV}{CANARY}@h/"',
    "text behind a user": f'x = "https://{ENV}{CANARY}@h/"',
    "argument of an address with a reference": f'url = "https://{ENV}/api?token={CANARY}"',
    "argument behind a reference": f'x = "https://h/{ENV}?a=1&access_token={CANARY}"',
    "text that looks like an address": f'password = "{ENV}://{CANARY}"',
    "token behind a reference": f'x = "{ENV}ghp_{CANARY}"',
    "header behind a reference": f'x = "{ENV}Authorization: Bearer {ENV}{CANARY}"',
    "password behind a reference": f'x = "{ENV}password={CANARY}"',
    "password without a user": f'url = "redis://:{CANARY}@h:6379/0"',
    "key of PGP": f'gpg = "-----BEGIN PGP PRIVATE KEY BLOCK-----\\n\\n{CANARY}"',
    "url with a password": f'url = "https://u:{CANARY}@h.example.com/"',
    "url with a token as user": f'url = "https://{CANARY}@h.example.com/"',
    "url with a token": f'url = "https://h.example.com/?a=1&token={CANARY}"',
    "url in a list": f'hosts = ["https://h.example.com/?api_key={CANARY}", "b"]',
    "known kind of token": f'header = "x ghp_{CANARY}"',
    "header": f'headers = ["Authorization: Bearer {CANARY}"]',
    "connection string": f'db = "host=h user=u password={CANARY}"',
    "random key": f'key = "{CANARY}"',
    "pw": f'pw = "{CANARY}"',
    "pass": f'pass = "{CANARY}"',
    "pat": f'pat = "{CANARY}"',
    "camel case": f'userPass = "{CANARY}" clientSecret = "{CANARY}"',
    "list": f'tokens = ["{CANARY}", "b"]',
    "object": f'auth {{ login {{ value = "{CANARY}" }} }}',
}  # fmt: skip
IDENTIFIER = "deadbeef-0000-4000-8000-c4a4a4a4a4a4"
NUMBERS = {
    **{
        name: f"{name} = {NUMBER}"
        for name in ("token", "key", "pw", "pass", "pin", "api_key", "otp")
    },
    "numbers in a list": f"tokens = [{NUMBER}, 5]",
    "number in an object": f"credentials {{ code = {NUMBER} }}",
}  # fmt: skip
IN_ARGUMENTS = [
    *(
        Kind(name, provider(text) | ({"v.hcl": 'vault { address = "v" }'}), Fate.MOVED, "a.hcl:7")
        for name, text in MOVED.items()
    ),
    Kind(
        "key as identifier",
        provider(f'key = "{IDENTIFIER}"'),
        Fate.MOVED,
        "a.hcl:7",
        secret=IDENTIFIER,
    ),
    *(
        Kind(f"number, {name}", provider(text), Fate.MOVED, "a.hcl:7", secret=NUMBER)
        for name, text in NUMBERS.items()
    ),
    Kind(
        "text with a reference as Consul's token",
        provider("") | {"c.hcl": f'consul {{ token = "{ENV}{CANARY}" }}'},
        Fate.MOVED,
        "c.hcl:1",
    ),
    Kind(
        "text with a reference in a backend",
        provider("")
        | {"c.hcl": f'driver "terraform" {{ backend "pg" {{ password = "{ENV}{CANARY}" }} }}'},
        Fate.MOVED,
        "c.hcl:1",
    ),
    Kind(
        "text with a reference in JSON",
        provider("")
        | {"c.json": f'{{"terraform_provider": {{"p": {{"alias": "x", "pw": "{ENV}{CANARY}"}}}}}}'},
        Fate.MOVED,
        "c.json:1",
    ),
]

NAMED = {
    "client_certificate": 'client_certificate = "keys/client.pem"',
    "private_key_path": 'private_key_path = "keys/key"',
    "private_key": 'private_key = "keys/id_ed25519"',
    "config_path": 'config_path = "keys/config"',
    "home": 'kubeconfig = "$HOME/.kube/config"',
    "url of a file": 'ca = "file:///etc/ssl/ca.pem"',
}
KEYS = {"keys/client.pem": PEM, "keys/key": PEM, "keys/id_ed25519": PEM, "keys/config": CANARY}
OF_MACHINE = [
    Kind(f"names a file, {name}", provider(text) | KEYS, Fate.LEFT, "a.hcl:7", "file-missing")
    for name, text in NAMED.items()
]

COMMENTS = {
    "number sign": f'# token = "{CANARY}"',
    "slashes": f"// password = {CANARY}",
    "block": f'/* x\n*/ /*\n  api_key = "{CANARY}" */',
    "address": f"# see https://u:{CANARY}@h.example.com/",
    "argument": f"# see https://h.example.com/?token={CANARY}",
    "known kind of token": f"# ghp_{CANARY}",
    "colon": f'# "client_secret": "{CANARY}"',
    "environment": f"# export FW_PASSWORD={CANARY}",
}
IN_CODE = {
    "provider": f'provider "a" {{\n  password = "{CANARY}"\n}}',
    "locals": f'locals {{ password = "{CANARY}" }}',
    "list": f'locals {{\n  tokens = ["a${{var.x}}", "{CANARY}"]\n}}',
    "around a reference": f'locals {{\n  password = "{CANARY}${{var.x}}"\n}}',
    "around nested braces": f'locals {{\n  password = "{CANARY}${{f({{}})}}"\n}}',
    "argument": f'resource "x" "y" {{\n  url = "https://u:{CANARY}@h/"\n}}',
    "address with references": f'locals {{\n  u = "https://${{var.h}}/?token={CANARY}"\n}}',
    "header": f'locals {{\n  h = "Authorization: Bearer {CANARY}"\n}}',
    "heredoc": f'locals {{\n  h = <<E\n  password: "{CANARY}"\nE\n}}',
}
LINES = {"block": 3, "locals": 2, "heredoc": 4}
IN_COMMENTS = [
    *(
        Kind(
            f"comment, {name}",
            provider("") | {"c.hcl": f"{text}\n"},
            Fate.LEFT,
            f"c.hcl:{LINES.get(name, 1)}",
        )
        for name, text in COMMENTS.items()
    ),
    Kind(
        "comment in a variable file",
        module({"v.tfvars": f'# a\nz = 1 # token = "{CANARY}"\n'})
        | {"a.hcl": TASK.replace("condition", 'variable_files = ["v.tfvars"]\n  condition')}
        | {"m/main.tf": VARIABLES + 'variable "z" {}\n'},
        Fate.LEFT,
        "v.tfvars:2",
    ),
    *(
        Kind(
            f"code of a module, {name}",
            in_module(f"{text}\n"),
            Fate.KEPT,
            f"m/main.tf:{LINES.get(name, 3)}",
        )
        for name, text in IN_CODE.items()
    ),
    Kind(
        "code of a module, in JSON",
        module({"m/x.tf.json": f'{{"locals": {{"password": "{CANARY}"}}}}'}),
        Fate.KEPT,
        "m/x.tf.json:1",
    ),
    *(
        Kind(
            f"comment of a module, {name}",
            in_module(f"{text}\n"),
            Fate.KEPT,
            f"m/main.tf:{LINES.get(name, 1) + 1}",
        )
        for name, text in COMMENTS.items()
    ),
]

VALUES = {
    "text": f'password = "{CANARY}"',
    "list": f'password = ["{CANARY}"]',
    "text before a reference": f'password = "{CANARY}{OF_AWS}"',
    "object in a list": f'password = [{{ token = "{CANARY}" }}]',
}
DECLARED = {"m/main.tf": VARIABLES + 'variable "password" {}\n'}
NAMES_FILE = {"a.hcl": TASK.replace("condition", 'variable_files = ["v.tfvars"]\n  condition')}
INLINE = {
    "a.hcl": TASK.replace("  cond", f"  serverless {{ variables {{ {VALUES['text']} }} }}\n  cond")
}
IN_VARIABLES = [
    *(
        Kind(
            f"variable, {name}",
            {**NAMES_FILE, **DECLARED, "v.tfvars": f"{text}\n"},
            Fate.KEPT,
            "v.tfvars",
        )
        for name, text in VALUES.items()
    ),
    Kind("variable, inline", {**INLINE, **DECLARED}, Fate.KEPT, "a.hcl:4"),
]

KINDS = [*IN_ADDRESS, *IN_FILES, *IN_ARGUMENTS, *OF_MACHINE, *IN_COMMENTS, *IN_VARIABLES]

NO_SECRETS = [
    *(provider(text) for text in [
        'key = "tags/name"',
        'secret_backend = "kv" token_expires_in = "5m" token_audience = "sts" tokenizer = "x"',
        'endpoints { secretsmanager = "http://localhost:4566" } auth = "basic"',
        'credentials { profile = "fw" } auth { lease = 3600 mount = "approle" field = "x" }',
        'password_field = "pwd" secret_labels = "a" secret_manager = "aws" secrets_mount = "kv"',
        'key = "prod/eu-west-1/network/terraform.tfstate"',
        'key = "terraform-state-production-2024"',
        'public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"',
        'url = "https://host.example.com:8443/path?ref=token&page=2"',
        'host = "https://admin@fw.example.com"',
        f'token = "{ENV}"',
        f'token = "{OF_AWS}" password = "{{{{resolve:ssm-secure:/fw/pw:3}}}}"',
        f'dsn = "postgres://{OF_AWS}:{OF_AWS}@db.example.com/x" auth = "Bearer {OF_AWS}"',
        f'url = "https://{ENV}/api?token={ENV}&key=a" auth = "https://{ENV}:{ENV}-{ENV}@h/"',
        'url = "https://h/?sort_key=name&key=name&keys=a&code=200&auth=basic&pin=true"',
        'url = "https://h/?token_type=bearer&code_challenge=aB3dE5gH1&page_token=aB3dE5gH1"',
        'url = "https://acme@dev.azure.com/x" image = "docker://alpine@sha256:0123456789abcdef"',
        f'authorization = "Bearer {ENV}"',
        f'token = "{ENV}:{ENV}"',
        f'dsn = "postgres://{ENV}:{ENV}@db.example.com/x"',
        f'host = "fw-{ENV}.example.com"',
        'token_ttl = 3600 token_period = 60 max_token = 5 tokens = 5 password_length = 20',
        'secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:fw-AbCdEf"',
        'secret_name = "fw/admin" secret_ref = "fw" kv_key = "services/web"',
        'credentials { port = 8443 max = 5 retries = 3 }',
        'partition_key = 5 sort_key = "created"',
        'pattern = "^[a-z]+(pass|token)=[0-9]+$" description = "basic firewall rules"',
        'bypass = "x" compass = "y" pattern_matching = true',
        'assume_role { role_arn = "arn:aws:iam::123456789012:role/x" session_name = "cts" }',
    ]),
    task("git::https://acme@dev.azure.com/acme/net/_git/fw?ref=v1"),
    task("git::https://deploy-bot@git.example.com/m"),
    *(in_module(text) for text in [
        'module "x" {\n  source = "git::https://acme@dev.azure.com/acme/net/_git/fw"\n}\n',
        '# token: the ACL token that the module uses\n',
        '# token = var.token\n# password = "${var.password}"\n# secret = data.x.y\n',
        '# password = "<your password>"\n# token = "..."\n# api_key = "changeme"\n',
        '# https://registry.terraform.io/providers/x/y#authentication\n# a key = value list\n',
        '# Authorization: see the manual. password_length = "20"\n',
        '# begins with -----BEGIN PRIVATE KEY-----, as PEM does\n',
        'variable "k" {\n  description = "begins with -----BEGIN PRIVATE KEY-----"\n}\n',
        'locals {\n  k = "-----BEGIN PRIVATE KEY-----\\n${var.k}"\n}\n',
        'locals {\n  a_token = "${var.token}"\n  b_token = "Bearer ${var.x["y"]}"\n}\n',
        'locals {\n  password = var.password\n  token = data.x.y1.result\n  api_key = ""\n}\n',
        'locals {\n  private_key = "keys/a.key"\n  secret_name = "fw"\n  auth = "basic"\n}\n',
        'data "aws_secretsmanager_secret_version" "x" {\n  secret_id = "prod/fw-1"\n}\n',
        'locals {\n  url = "https://${var.u}:${var.p}@h/?token=${var.t}"\n}\n',
        'variable "x" {\n  description = "password = \\"abc\\" or https://user:password@h/"\n}\n',
        'resource "aws_key_pair" "key" {\n  key_name = "k"\n  public_key = var.key\n}\n',
        'module "x" {\n  source = "git::ssh://git@github.com/o/m.git?ref=v1.0%2B1"\n}\n',
        'module "x" {\n  source = "git::https://${var.u}:${var.token}@h/m?ref=v1"\n}\n',
        'module "x" {\n  source = "app.terraform.io/acme/vpc/aws"\n  version = "1.0.0"\n}\n',
    ]),
    module({"m/ca.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}),
    module({"m/key.pub": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI x", "m/empty.p12": ""}),
    module({"m/README.md": "`token = \"...\"` begins with -----BEGIN PRIVATE KEY-----\n"}),
    module({"m/cloud-init.tpl": "key: |\n  -----BEGIN PRIVATE KEY-----\n  ${key}\n"}),
    provider("") | {"c.hcl": "# token: in the stack's secret\n# export CONSUL_HTTP_TOKEN\n"},
]  # fmt: skip
"""What only looks like one."""
NO_FILES = ['host = "fw.key"', 'name = "main.json"', 'domain = "corp.conf"', 'title = "id_rsa"']
"""Arguments that only look like files."""
