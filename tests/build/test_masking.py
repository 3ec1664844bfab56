"""What is replaced by asterisks before a log is stored, and what is not."""

import pytest

from cts.build.log import Log
from cts.build.output import Copied

PGP = [f"-----{mark} PGP PRIVATE KEY BLOCK-----" for mark in ("BEGIN", "END")]
PROGRAM = "null_resource.x[0] (local-exec): "
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
LINE = "aHVudGVyMg+/" * 5
TOKEN = "hunter2" * 6


def logged(text: str) -> str:
    """What a run's log has of Terraform's output."""
    log = Log()
    copied = Copied(log)
    for data in (text.encode(), b""):
        copied.add(data)
    assert log.body().decode() == str(copied)
    return str(copied)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{BEGIN}\n{LINE}\n{LINE}\n{END}\n", f"{BEGIN}\n***\n{END}\n"),
        (
            f"  + k = <<-EOT\n        {BEGIN}\n        {LINE}\n        {END}\n    EOT\n",
            f"  + k = <<-EOT\n        {BEGIN}\n        ***\n        {END}\n    EOT\n",
        ),
        (
            f"│ {BEGIN}\n│ Proc-Type: 4,ENCRYPTED\n│ \n│ {LINE}\n│ {END}\n",
            f"│ {BEGIN}\n│ ***\n│ {END}\n",
        ),
        (f'k = "{BEGIN}\\n{LINE}\\n{END}\\n" x\n', f'k = "{BEGIN}***{END}\\n" x\n'),
        (f"a {BEGIN}\nthen a sentence\n", f"a {BEGIN}\nthen a sentence\n"),
        (f"begins with {BEGIN}, and so on\n", f"begins with {BEGIN}, and so on\n"),
        (
            f"   4:   c = f(<<E\n   5: {BEGIN}\n   6: {LINE}\n   7: {END}\n",
            f"   4:   c = f(<<E\n   5: {BEGIN}\n   ***\n   7: {END}\n",
        ),
        (f"{PGP[0]}\n\n{LINE}\n=aB3d\n{PGP[1]}\n", f"{PGP[0]}\n\n***\n{PGP[1]}\n"),
        (
            f"{PGP[0]}\nVersion: 1\n\n{LINE}\n{PGP[1]}\nx\n",
            f"{PGP[0]}\n***\n{PGP[1]}\nx\n",
        ),
        (f'"{PGP[0]}\\n\\n{LINE}\\n{PGP[1]}"\n', f'"{PGP[0]}***{PGP[1]}"\n'),
        (
            f"{PROGRAM}{BEGIN}\n{PROGRAM}{LINE}\n{PROGRAM}abc=\n{PROGRAM}{END}\n",
            f"{PROGRAM}{BEGIN}\n{PROGRAM}***\n{PROGRAM}{END}\n",
        ),
        (
            f"{PROGRAM}k: {BEGIN}\nb (remote-exec): z\n{PROGRAM}{LINE}\nb: c d\n{PROGRAM}{LINE}\n",
            f"{PROGRAM}k: {BEGIN}\nb (remote-exec): z\n{PROGRAM}***\nb: c d\n",
        ),
        (f"x ghp_{TOKEN} y\n", "x *** y\n"),
        (f"x glpat-{TOKEN}\n", "x ***\n"),
        (f"eyJ{TOKEN}.eyJ{TOKEN}.{TOKEN}\n", "***\n"),
        (f'"source": "h?ref=v1\\u0026sshkey={TOKEN}"\n', '"source": "h?ref=v1\\u0026sshkey=***"\n'),
        (f"https://h/m#access_token={TOKEN}\n", "https://h/m#access_token=***\n"),
        (f"https://u:{TOKEN}@h/ redis://:{TOKEN}@h\n", "https://***:***@h/ redis://:***@h\n"),
        (f"https://{TOKEN}@h/\n", "https://***@h/\n"),
        ("Authorization: Bearer aB3dE5gH x, pwd=y;\n", "Authorization: Bearer *** x, pwd=***;\n"),
        ("https://h/?code=aB3dE5gH&pin=12345678\n", "https://h/?code=***&pin=***\n"),
        *(
            (f'  3: {name} = "hunter"\n', f'  3: {name} = "***"\n')
            for name in (
                "conn_str",
                "connection_string",
                "appkey",
                "customer_key",
                "encryption_key",
                "hmac_key",
                "license_key",
                "master_key",
                "service_key",
                "subscription_key",
                "community",
                "userPass",
                "secret_id",
                "TF_TOKEN_registry_acme_co_id",
                "TF_TOKEN_acme_store",
            )
        ),
        ('  3: tokens = ["a", "b]", x] # y\n', '  3: tokens = ["***", "***", x] # y\n'),
        ('  3: a = [{ token = "x" }]\n', '  3: a = [{ token = "***" }]\n'),
        ('│   3:   password = "hunter2" # x\n', '│   3:   password = "***" # x\n'),
        ('  12: # api_key: "hunter2"\n', '  12: # api_key: "***"\n'),
        ("  12: # export FW_PASSWORD=hunter2\n", "  12: # export FW_PASSWORD=***\n"),
    ],
)
def test_a_secret_is_not_logged(text: str, told: str) -> None:
    assert logged(text) == told


@pytest.mark.parametrize(
    "text",
    [
        '  + name = "web"\n  + key  = "tags/name"\n',
        '│   3:   key = "tags/name"\n│   4:   secret_name = "fw/admin"\n',
        "│   5:   token = var.token\n│   6:   password = random_password.x.result\n",
        "  + public_key = <<-EOT\n        ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI x\n    EOT\n",
        f"-----BEGIN CERTIFICATE-----\n{LINE}\n-----END CERTIFICATE-----\n",
        'token = "shown in a plan"\n',
        f"must begin with {BEGIN}\nApplying\nok\n\nDone.\nPlan: 1 to add\n",
        f"{BEGIN}\n\n\n{LINE}\n",
        f"{PROGRAM}{BEGIN}\n{PROGRAM}is missing\n",
        "git::https://acme@dev.azure.com/acme/net/_git/fw\n",
        "https://deploy-bot@git.example.com/m docker://alpine@sha256:abcdef0123456789\n",
        "https://h/?sort_key=name&key=name&keys=a&code=200&auth=basic&pin=true\n",
        "https://h/?token_type=bearer&code_challenge=aB3dE5gH&page_token=aB3dE5gH\n",
        "Plan: 1 to add, 0 to change, 0 to destroy.\n",
    ],
)
def test_what_is_no_secret_is_logged(text: str) -> None:
    assert logged(text) == text
