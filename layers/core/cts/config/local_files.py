"""Arguments of providers and backends that name a file of the machine they were written on."""

import re

from cts.config.secrets import PRIVATE_KEY
from cts.terraform.references import is_reference

FILE_NAME = re.compile(
    r"""(?:^|[_-])(?:file|dir|directory|folder)s?$ | kubeconfig$
      | (?:^|[_-])(?:ca|cert|certificate|config|credential|key|pem|private|token)s?[_-]?paths?$""",
    re.IGNORECASE | re.VERBOSE,
)
FILE = re.compile(
    r"""(?:~|\$HOME|\$\{HOME\})/[^\n]* | \.\.?/[^\n]* | [A-Z]:\\[^\n]* | file:///[^\n]*
      | /(?:etc|home|mnt|opt|root|run|srv|tmp|usr|Users|var)/[^\n]*
      | [^\n:{}"]+\.(?:asc|cer|cfg|conf|crt|der|gpg|ini|jks|json|key|keystore|kubeconfig|p12|p8|pem
                     |pfx|ppk|pub|toml|ya?ml)
      | (?:[^\n:{}"]*/)?id_(?:dsa|ecdsa|ed25519|rsa)(?:[_.-]\w+)?""",
    re.VERBOSE,
)
KEY_NAME = re.compile(r"(?:key|cert|certificate|credential)s?$", re.IGNORECASE)
"""Arguments that some providers take a file for, and others its content."""
FEW = 300
"""Characters of a path."""


def names_file(name: str, value: str) -> bool:
    is_address = "://" in value and not value.startswith("file:///")
    if not value or len(value) > FEW or is_address or "\n" in value:
        return False
    if is_reference(value) or PRIVATE_KEY.search(value):
        return False
    is_bare = not {"/", "\\"} & {*value}  # some hosts and titles end like files
    is_file = FILE.fullmatch(value) and not (is_bare and not KEY_NAME.search(name))
    return bool(FILE_NAME.search(name) or is_file)


def is_path_of_key(name: str, value: str) -> bool:
    """Whether a value is where a secret is, and not the secret. A password may look like a path."""
    return bool(KEY_NAME.search(name)) and bool(FILE.fullmatch(value)) and names_file(name, value)
