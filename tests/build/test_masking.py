"""What is replaced by asterisks before a log is stored, and what is not."""

import io

import pytest

from cts.build.log import Log
from cts.build.output import Copied

BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
LINE = "aHVudGVyMg+/" * 5
TOKEN = "hunter2" * 6


def logged(text: str) -> str:
    """What a run's log has of Terraform's output."""
    log = Log()
    copied = Copied(io.StringIO(text), log).text()
    assert log.body().decode() == copied
    return copied


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{BEGIN}\n{LINE}\n{LINE}\n{END}\n", f"{BEGIN}\n{END}\n"),
        (
            f"  + k = <<-EOT\n        {BEGIN}\n        {LINE}\n        {END}\n    EOT\n",
            f"  + k = <<-EOT\n        {BEGIN}\n        {END}\n    EOT\n",
        ),
        (
            f"│ {BEGIN}\n│ Proc-Type: 4,ENCRYPTED\n│ \n│ {LINE}\n│ {END}\n",
            f"│ {BEGIN}\n│ {END}\n",
        ),
        (f'k = "{BEGIN}\\n{LINE}\\n{END}\\n" x\n', f'k = "{BEGIN}***{END}\\n" x\n'),
        (f"a {BEGIN}\nthen a sentence\n", f"a {BEGIN}\nthen a sentence\n"),
        (f"begins with {BEGIN}, and so on\n", f"begins with {BEGIN}, and so on\n"),
        (
            f"   4:   c = f(<<E\n   5: {BEGIN}\n   6: {LINE}\n   7: {END}\n",
            f"   4:   c = f(<<E\n   5: {BEGIN}\n   7: {END}\n",
        ),
        (f"x ghp_{TOKEN} y\n", "x *** y\n"),
        (f"x glpat-{TOKEN}\n", "x ***\n"),
        (f"eyJ{TOKEN}.eyJ{TOKEN}.{TOKEN}\n", "***\n"),
        (f'"source": "h?ref=v1\\u0026sshkey={TOKEN}"\n', '"source": "h?ref=v1\\u0026sshkey=***"\n'),
        (f"https://h/m#access_token={TOKEN}\n", "https://h/m#access_token=***\n"),
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
        "Plan: 1 to add, 0 to change, 0 to destroy.\n",
    ],
)
def test_what_is_no_secret_is_logged(text: str) -> None:
    assert logged(text) == text
