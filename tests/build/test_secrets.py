"""References get their values in the build: from scripted stores, and with real Terraform."""

import base64
import json
import re
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.build import asking
from cts.build.aws import Aws
from cts.build.credentials import Credentials
from cts.build.errors import RunError
from cts.build.facts import Facts
from cts.build.hidden import Hidden, any_of
from cts.build.references import parts
from cts.build.resolve import Values, resolve
from tests.build.stores import CONSUL_TOKEN, VAULT_TOKEN, Stores, storing

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:fw-a1b2c3"
TASK, CONSUL = "arn:task", "arn:consul"
FACTS = Facts(
    task="web",
    run="web-20260101T000000-abc123",
    correlation_id="c",
    work_bucket="work",
    state_bucket="state",
    state_key="k",
    region="eu-west-1",
    terraform_version="1.11.4",
    former_runs=[],
    providers=["fw"],
    task_secret_arn=TASK,
    consul_secret_arn=CONSUL,
)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setattr(asking, "PAUSE", 0.001)
    with storing() as stores:
        monkeypatch.setenv("AWS_ENDPOINT_URL", stores.url)
        stores.secrets[TASK] = json.dumps({"PW": "s3cr3t-word", "VAULT_TOKEN": VAULT_TOKEN})
        stores.secrets[CONSUL] = CONSUL_TOKEN
        stores.secrets["fw"] = json.dumps({"pw": "of-fw", "port": 8443})
        stores.secrets[ARN] = "whole"
        stores.parameters |= {"/fw/pw": "of-ssm", "/fw/pw:3": "of-ssm-3"}
        stores.kv["fw/pw"] = "of-consul"
        stores.vault["kv2/data/fw"] = {"data": {"pw": "of-vault", "n": 5, "deep": {}}}
        stores.vault["kv1/fw"] = {"pw": "of-vault-1"}
        yield stores


def aws(key: str) -> Aws:
    never = datetime.max.replace(tzinfo=UTC)
    return Aws("eu-west-1", lambda: Credentials(key, "s", "t", never), time.monotonic() + 60)


def values(stores: Stores, own: Path, hidden: Hidden | None = None, **more: Any) -> Values:
    vault = {"address": stores.url, "namespace": "team", **more.pop("vault", {})}
    facts = FACTS._replace(**{"consul_address": stores.url, "vault": vault, **more})
    return Values(facts, aws("TASK"), aws("RUN"), own, (hidden or Hidden()).add)


def value(found: Values, text: str) -> str:
    return "".join(each if isinstance(each, str) else found(each) for each in parts(text))


KV2 = '{{ with secret "kv2/fw" }}{{ .Data.data.pw }}{{ end }}'
EACH = {
    '{{ env "PW" }}': "s3cr3t-word",
    '{{ key "fw/pw" }}': "of-consul",
    '{{ key "/fw/pw@dc1" }}': "of-consul",
    KV2: "of-vault",
    '{{ with secret "kv2/data/fw" }}{{ .Data.data.n }}{{ end }}': "5",
    '{{ with secret "kv1/fw" }}{{ .Data.pw }}{{ end }}': "of-vault-1",
    "{{resolve:secretsmanager:fw:SecretString:pw}}": "of-fw",
    "{{resolve:secretsmanager:fw:SecretString:port}}": "8443",
    f"{{{{resolve:secretsmanager:{ARN}}}}}": "whole",
    "{{resolve:ssm:/fw/pw}}": "of-ssm",
    "{{resolve:ssm-secure:/fw/pw:3}}": "of-ssm-3",
}


@pytest.mark.parametrize("text", EACH)
def test_each_kind_has_its_value_which_is_hidden(stores: Stores, tmp_path: Path, text: str) -> None:
    hidden = Hidden()
    assert value(values(stores, tmp_path, hidden), text) == EACH[text]
    assert hidden(f"x{EACH[text]}y") == ("x***y" if len(EACH[text]) > 3 else f"x{EACH[text]}y")


def test_everything_is_read_once_and_with_the_right_credentials(
    stores: Stores, tmp_path: Path
) -> None:
    found = values(stores, tmp_path)
    for text in [*EACH, *EACH]:
        value(found, text)
    asked = [what for what in stores.seen if what[0].endswith("GetSecretValue")]
    # The task secret, one with two fields, and one by its ARN; the token for Consul.
    assert sorted(who for _, who in asked) == ["RUN", *["TASK"] * 3]
    assert len([path for path, _ in stores.seen if path == "/v1/kv2/data/fw"]) <= 2
    assert {who for path, who in stores.seen if path.startswith("/v1/kv/fw")} >= {CONSUL_TOKEN}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{{ env "NO" }}', "the stack's task secret has no NO: store it with `cts secret set NO`"),
        ('{{ key "no" }}', "Consul's KV store has no key 'no'"),
        ('{{ with secret "kv1/no" }}{{ .Data.x }}{{ end }}', "Vault has no secret at 'kv1/no'"),
        ('{{ with secret "kv1/fw" }}{{ .Data.no }}{{ end }}', "the secret has no field .Data.no"),
        ('{{ with secret "kv2/fw" }}{{ .Data.data }}{{ end }}', "the field must be a single value"),
        ("{{resolve:secretsmanager:no}}", "ResourceNotFoundException: it is not there"),
        ("{{resolve:secretsmanager:fw:SecretString:no}}", "the secret has no field 'no'"),
        (f"{{{{resolve:secretsmanager:{ARN}:SecretString:a}}}}", "must be a JSON object"),
        ("{{resolve:ssm:no}}", "ParameterNotFound: it is not there"),
    ],
)
def test_what_is_missing_is_named_and_not_tried_again(
    stores: Stores, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(RunError) as error:
        value(values(stores, tmp_path), text)
    assert str(error.value).startswith(f"reading {text}: ")
    assert said in str(error.value)
    assert not error.value.retryable


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("{{resolve:secretsmanager:fw}}", "Secrets Manager"),
        ("{{resolve:ssm:/fw/pw}}", "Parameter Store"),
    ],
)
def test_an_answer_without_a_value_is_asked_for_again(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, whose: str
) -> None:
    monkeypatch.setattr(Aws, "_json", lambda *_: {})
    with pytest.raises(RunError, match=f"the answer is not one of {whose}") as error:
        value(values(stores, tmp_path), text)
    assert error.value.retryable


def test_a_binary_secret_is_refused(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Aws, "_json", lambda *_: {"SecretBinary": "AAA="})
    with pytest.raises(RunError, match="the secret is binary: it must be text") as error:
        value(values(stores, tmp_path), "{{resolve:secretsmanager:fw}}")
    assert not error.value.retryable


@pytest.mark.parametrize("bad", ["half \ud83d of-a-character", "nul \0 of-text"])
@pytest.mark.parametrize(
    "text",
    [
        '{{ env "PW" }}',
        "{{resolve:ssm:bad}}",
        "{{resolve:secretsmanager:bad}}",
        "{{resolve:secretsmanager:bad-field:SecretString:pw}}",
        '{{ with secret "kv1/bad" }}{{ .Data.pw }}{{ end }}',
    ],
)
def test_what_no_file_and_no_environment_can_hold_is_refused(
    stores: Stores, tmp_path: Path, text: str, bad: str
) -> None:
    stores.secrets[TASK] = json.dumps({"PW": bad, "VAULT_TOKEN": VAULT_TOKEN})
    stores.secrets["bad-field"] = json.dumps({"pw": bad})
    stores.secrets["bad"] = stores.parameters["bad"] = bad
    stores.vault["kv1/bad"] = {"pw": bad}
    with pytest.raises(RunError) as error:
        value(values(stores, tmp_path), text)
    assert str(error.value) == f"reading {text}: the value must be text, without NUL"
    assert not error.value.retryable


SERVICES = {
    '{{ env "PW" }}': "secretsmanager.GetSecretValue",
    '{{ key "fw/pw" }}': "/v1/kv/fw/pw",
    KV2: "/v1/kv2/data/fw",
    "{{resolve:ssm:/fw/pw}}": "AmazonSSM.GetParameter",
}


@pytest.mark.parametrize("text", SERVICES)
def test_an_outage_is_waited_out_or_may_be_tried_again(
    stores: Stores, tmp_path: Path, text: str
) -> None:
    stores.down[SERVICES[text]] = 2
    assert value(values(stores, tmp_path), text) == EACH[text]
    stores.down[SERVICES[text]] = 100
    with pytest.raises(RunError, match="HTTP 503") as error:
        value(values(stores, tmp_path), text)
    assert str(error.value).startswith(f"reading {text}: ")
    assert error.value.retryable


def test_a_refusal_may_be_tried_again_and_says_what_was_refused(
    stores: Stores, tmp_path: Path
) -> None:
    stores.secrets[CONSUL] = stores.secrets[TASK] = json.dumps({"VAULT_TOKEN": "wrong"})
    for text, said in (('{{ key "fw/pw" }}', "Permission denied"), (KV2, "permission denied")):
        with pytest.raises(RunError, match=said) as error:
            value(values(stores, tmp_path), text)
        assert error.value.retryable
        assert "wrong" not in str(error.value)


def test_a_wrapped_token_is_unwrapped(stores: Stores, tmp_path: Path) -> None:
    stores.wrapped = VAULT_TOKEN
    stores.secrets[TASK] = json.dumps({"VAULT_TOKEN": "wrapping"})
    found = values(stores, tmp_path, vault={"unwrap_token": "true"})
    assert value(found, KV2) == "of-vault"
    assert ("/v1/sys/wrapping/unwrap", "wrapping") in stores.seen


def test_a_token_is_taken_to_no_other_host(stores: Stores, tmp_path: Path) -> None:
    with storing() as other:
        stores.redirect = other.url
        with pytest.raises(RunError, match="HTTP 307"):
            value(values(stores, tmp_path), KV2)
    assert other.seen == []


@pytest.mark.parametrize(
    "secret",
    [
        f"\ufeff{CONSUL_TOKEN}\n",
        json.dumps({"token": CONSUL_TOKEN}),
        json.dumps({"CONSUL_HTTP_TOKEN": CONSUL_TOKEN}),
    ],
)
def test_the_token_for_consul_is_read_as_the_poller_reads_it(
    stores: Stores, tmp_path: Path, secret: str
) -> None:
    stores.secrets[CONSUL] = secret
    hidden = Hidden()
    assert value(values(stores, tmp_path, hidden), '{{ key "fw/pw" }}') == "of-consul"
    assert hidden(CONSUL_TOKEN) == "***"


def test_a_stack_without_a_token_asks_without(stores: Stores, tmp_path: Path) -> None:
    del stores.secrets[CONSUL]
    with pytest.raises(RunError, match="no token is configured"):
        value(values(stores, tmp_path), '{{ key "fw/pw" }}')


# ---- into files and the environment --------------------------------------------------------------


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_files_and_environment_get_the_values(stores: Stores, tmp_path: Path) -> None:
    variables, backend = tmp_path / "secret.auto.tfvars.json", tmp_path / "secret.backend.json"
    reference = '{{ env "PW" }}'
    variables.write_text(
        json.dumps(
            {
                "fw": {"hosts": [{"pw": f"a{reference}b"}], "n": 5},
                "of_module": f"{reference}{{{{resolve:ssm:/fw/pw}}}}",
            }
        )
    )
    backend.write_text(json.dumps({"conn_str": f"postgres://u:{reference}@db"}))
    facts: dict[str, Any] = {
        "environment": {"FW_PASSWORD": reference, "REGION": "eu"},
        "git_ssh_key": reference,
        "consul_backend": True,
    }
    found = values(stores, tmp_path, **facts)
    environment = resolve(tmp_path, tmp_path / ".build", found.facts, found)
    assert json.loads(variables.read_text()) == {
        "fw": {"hosts": [{"pw": "as3cr3t-wordb"}], "n": 5},
        "of_module": f"{reference}of-ssm",
    }
    assert json.loads(backend.read_text()) == {"conn_str": "postgres://u:s3cr3t-word@db"}
    key = tmp_path / ".build/git_ssh_key"
    assert environment.pop("GIT_SSH_COMMAND").startswith(f"ssh -i '{key}' ")
    assert environment == {
        "FW_PASSWORD": "s3cr3t-word",
        "REGION": "eu",
        "CONSUL_HTTP_ADDR": stores.url,
        "CONSUL_HTTP_TOKEN": CONSUL_TOKEN,
    }
    assert key.read_text() == "s3cr3t-word\n"
    assert {mode(file) for file in (variables, backend, key)} == {0o600}


def test_a_task_without_references_asks_nobody(stores: Stores, tmp_path: Path) -> None:
    found = values(stores, tmp_path, environment={"A": "{{ plain }}"})
    assert resolve(tmp_path, tmp_path, found.facts, found) == {"A": "{{ plain }}"}
    assert stores.seen == []


def test_a_reference_that_cannot_be_evaluated_fails_for_good(
    stores: Stores, tmp_path: Path
) -> None:
    found = values(stores, tmp_path, environment={"A": "{{resolve:ssm:a:b}}"})
    with pytest.raises(RunError, match=r"\{\{resolve:ssm:a:b\}\} can't be evaluated") as error:
        resolve(tmp_path, tmp_path, found.facts, found)
    assert not error.value.retryable


# ---- hidden --------------------------------------------------------------------------------------

LONG = 'pa"ss\\wörd&<é>${x}+/ç'


@given(st.text(min_size=4, max_size=40), st.text(max_size=5), st.text(max_size=5))
def test_a_value_is_hidden_in_every_form(secret: str, before: str, after: str) -> None:
    hidden = Hidden()
    hidden.add(secret)
    for form in (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    ):
        assert "***" in hidden(f"{before}{form}{after}")


@given(st.sets(st.text("ab.|", min_size=1, max_size=6), min_size=1), st.text("ab.|", max_size=20))
def test_the_longest_text_that_fits_is_found(texts: set[str], text: str) -> None:
    one_by_one = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    assert re.sub(any_of(sorted(texts)), "*", text) == re.sub(one_by_one, "*", text)


@pytest.mark.slow
def test_lines_that_each_continue_another_are_hidden() -> None:
    hidden = Hidden()
    lines = ["s3cr3t" + "x" * number for number in range(300)]
    hidden.add("\n".join(lines))
    assert hidden(f"{lines[299]} {lines[2]}") == "*** ***"


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "admin"])
def test_a_value_is_hidden_in_basic_authorization(user: str) -> None:
    hidden = Hidden()
    hidden.add(LONG)
    shown = hidden(base64.b64encode(f"{user}:{LONG}".encode()).decode())
    assert "***" in shown
    assert LONG.encode()[4:8] not in base64.b64decode(shown.replace("***", "====") + "==")[9:]


def test_lines_and_words_of_a_value_are_hidden_alone() -> None:
    hidden = Hidden()
    hidden.add("first-line-of-it\nsecond line: abcdefghijk\nok\n")
    assert hidden("x first-line-of-it y") == "x *** y"
    assert hidden("abcdefghijk") == "***"
    assert hidden("ok line") == "ok line"


def test_what_is_inside_json_is_hidden_alone() -> None:
    hidden = Hidden()
    hidden.add(json.dumps({"user": {"password": ["hunter2-hunter2"]}}))
    assert hidden("say hunter2-hunter2") == "say ***"


def test_short_values_are_left() -> None:
    hidden = Hidden()
    for value in ("", "a", "eu1", " \n"):
        hidden.add(value)
    assert hidden("a value in eu1") == "a value in eu1"
