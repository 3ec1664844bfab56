"""What is never on a screen."""

import pytest

from cts.build.masking import masked
from cts_cli.shown import may_hold_secret, printable


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "git::https://oauth2:glpat-x@host/m.git?ref=v1",
            "git::https://oauth2:***@host/m.git?ref=v1",
        ),
        ("https://ghp-x9-x9-x9-x9-x9@github.com/o/m", "https://***@github.com/o/m"),
        ("https://u:p@ss@host/m", "https://***:***@host/m"),
        ("https://u:p/ss@host/m", "https://***:***@host/m"),
        ("https://u:@host", "https://***:***@host"),
        ("ssh://u:pw@host", "ssh://u:***@host"),
        ("a https://u:x@h/ and http://v:y@i/", "a https://***:***@h/ and http://***:***@i/"),
        ("git::ssh://git@host/m?ref=v1&sshkey=abc", "git::ssh://git@host/m?ref=v1&sshkey=***"),
        (
            "https://h/m.zip?archive=zip&X-Amz-Signature=a1",
            "https://h/m.zip?archive=zip&X-Amz-Signature=***",
        ),
        ("https://h/m.zip?sv=1&sig=a%2F", "https://h/m.zip?sv=1&sig=***"),
        (
            "s3::https://h/m?aws_access_key_secret=a&x=1",
            "s3::https://h/m?aws_access_key_secret=***&x=1",
        ),
    ],
)
def test_credentials_in_an_address_are_masked(text: str, told: str) -> None:
    assert masked(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "git::ssh://deploy@host/m",
        "git@github.com:o/m.git",
        "https://git@host/m",
        "https://host:8501/m",
        "https://host/m@1?ref=v1",
        "org/web/cts",
        'names = ["a", "b"]',
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert masked(text) == text
    assert not may_hold_secret(text)


def test_control_characters_are_shown() -> None:
    assert printable("a\x1b[2J\u202eb日") == "a\\x1b[2J\\u202eb日"
