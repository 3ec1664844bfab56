"""Whatever is pushed, the answer is a result: compiled, or a list of problems."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from cts.config.compile import Result, compile_bundle

VALID = r"""
consul { address = "10.0.0.5:8500" }
driver "terraform" { }
buffer_period { min = "5s", max = "20s" }
task {
  name = "web" # the front
  module = "./modules/web"
  variable_files = ["web.tfvars"]
  condition "services" { names = ["web", "api"] }
}
task = {
  "name" = "all"
  description = <<-EOT
    all services
  EOT
  module = "acme/all/acme"
  version = "~> 1.2"
  condition "services" { regexp = "^(web|api)-\\d{1,3}$" }
  buffer_period { enabled = false }
}
"""
VARIABLES = 'zone = "dmz"\nports = [80, -1, 1.5e3]\nlimits = {\n  burst = 10\n  "a b" : null\n}\n'
JSON = json.dumps(
    {
        "consul": {"address": "c:1"},
        "task": [{"name": "j", "module": "m", "condition": {"services": {"names": ["ü"]}}}],
    }
)
MODULE = b'variable "services" {}\n'
PIECES = st.sampled_from(
    [*'{}[]()"\\=,.-#\n \t:;$%<>/*0e', "${", "%{", "<<", "<<-A\n", "/*", "null", "-", "0x", '"""',
     "\ufeff", "\x00", "\\u", "(?=", "task", "é", "\U0001f600", "\r", "1e999"]
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3), PIECES), max_size=6)


def edited(text: str, edits: list[tuple[int, int, str]]) -> bytes:
    """The text with some characters taken out and something else put there."""
    for at, length, piece in edits:
        start = at % (len(text) + 1)
        text = text[:start] + piece + text[start + length :]
    return text.encode(errors="surrogatepass")


def check(result: Result) -> None:
    assert (result.compiled is None) == bool(result.problems)
    for problem in (*result.problems, *result.warnings):
        assert str(problem).encode()


def push(hcl: bytes, as_json: bytes = b"{}", variables: bytes = b"") -> Result:
    files = {"a.hcl": hcl, "b.json": as_json, "web.tfvars": variables}
    return compile_bundle({**files, "modules/web/main.tf": MODULE})


def test_the_configuration_to_be_edited_is_valid() -> None:
    assert push(VALID.encode(), JSON.encode(), VARIABLES.encode()).compiled


@settings(max_examples=300, deadline=None)
@given(EDITS, EDITS, EDITS)
def test_an_edited_configuration_gives_a_result(
    hcl: list[tuple[int, int, str]],
    as_json: list[tuple[int, int, str]],
    variables: list[tuple[int, int, str]],
) -> None:
    check(push(edited(VALID, hcl), edited(JSON, as_json), edited(VARIABLES, variables)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_a_result(hcl: bytes, as_json: bytes, variables: bytes) -> None:
    check(push(hcl, as_json, variables))


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.sampled_from(["a", "b = ", '"x"', "1"]), max_size=40))
def test_any_pile_of_pieces_gives_a_result(pieces: list[str]) -> None:
    text = "".join(pieces).encode()
    check(push(text, text, text))
