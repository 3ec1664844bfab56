"""Which references a text has, and what stands in their place."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cts.build.references import (
    BadReference,
    Origin,
    Reference,
    filled,
    parts,
)
from cts.terraform.references import has_reference, has_resolved

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:fw-a1b2c3"
PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/fw/password"
VAULT = '{{ with secret "kv/fw" }}{{ .Data.data.pw }}{{ end }}'


def named(reference: Reference) -> tuple[Any, ...]:
    kind, name = reference.kind, reference.name
    more = (reference.field, reference.stage, reference.version)
    return kind, name, *more


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ env "PW" }}', (Origin.TASK_SECRET, "PW", (), "", "")),
        ('{{env "PW"}}', (Origin.TASK_SECRET, "PW", (), "", "")),
        ('{{ key "fw/pw" }}', (Origin.CONSUL, "fw/pw", (), "", "")),
        (VAULT, (Origin.VAULT, "kv/fw", ("Data", "data", "pw"), "", "")),
        (
            '{{ with secret "kv/fw" }}{{ index .Data.data "p-w" }}{{ end }}',
            (Origin.VAULT, "kv/fw", ("Data", "data", "p-w"), "", ""),
        ),
        ("{{resolve:secretsmanager:fw}}", (Origin.SECRETS_MANAGER, "fw", (), "", "")),
        (
            f"{{{{resolve:secretsmanager:{ARN}:SecretString:pw}}}}",
            (Origin.SECRETS_MANAGER, ARN, ("pw",), "", ""),
        ),
        (
            "{{resolve:secretsmanager:fw::pw:AWSPREVIOUS:v-1}}",
            (Origin.SECRETS_MANAGER, "fw", ("pw",), "AWSPREVIOUS", "v-1"),
        ),
        ("{{resolve:ssm:/fw/pw:3}}", (Origin.PARAMETER_STORE, "/fw/pw", (), "", "3")),
        ("{{resolve:ssm-secure:pw}}", (Origin.PARAMETER_STORE, "pw", (), "", "")),
        (
            f"{{{{resolve:ssm:{PARAMETER_ARN}}}}}",
            (Origin.PARAMETER_STORE, PARAMETER_ARN, (), "", ""),
        ),
    ],
)
def test_each_kind_is_read(text: str, expected: tuple[Any, ...]) -> None:
    [reference] = parts(text)
    assert isinstance(reference, Reference)
    assert named(reference) == expected
    assert has_reference({"a": ["b", {"c": text}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{{",
        "{{ env PW }}",
        '{{ env "PW" | len }}',
        '{{ keyOrDefault "a" "b" }}',
        '{{- env "PW" }}',
        "{{resolved}}",
        "${var.x}",
        '{{ env "PW',
    ],
)
def test_anything_else_is_only_text(text: str) -> None:
    assert parts(text) == ([text] if text else [])
    assert not has_reference([text])


def test_what_cts_evaluates_is_only_text_where_cts_does_not() -> None:
    text = '{{ env "PW" }}'
    assert parts(text, templates=False) == [text]
    [before, reference] = parts(f"{text}{{{{resolve:ssm:x}}}}", templates=False)
    assert (before, reference.__class__) == (text, Reference)
    assert not has_resolved({"a": text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('https://{{ env "U" }}:{{ key "p" }}@fw', "https://<U>:<p>@fw"),
        ('{{ with secret "s" }}a{{ .Data.u }}:{{ .Data.p }}b{{ end }}c', "a<s.u>:<s.p>bc"),
        ('{{ with secret "s" }} {{- .Data.u -}} {{ end }}', "<s.u>"),
        ('{{ env "A" }}{{resolve:ssm:b}}', "<A><b>"),
        ("{{resolve:ssm:b}} {{ foo }}", "<b> {{ foo }}"),
        ('{{ env "a\\"b" }}', '<a"b>'),
        ('first\n{{ env "A" }}\nlast', "first\n<A>\nlast"),
        ("${x}", "${x}"),
    ],
)
def test_values_stand_in_their_place(text: str, expected: str) -> None:
    def value(reference: Reference) -> str:
        return f"<{'.'.join((reference.name, *reference.field[1:]))}>"

    assert filled({"a": [text, 5, None, True]}, value) == {"a": [expected, 5, None, True]}


@pytest.mark.parametrize(
    ("text", "named_in_error"),
    [
        ('{{ env "A" }}{{ if true }}x{{ end }}', "{{ if true }}"),
        ('{{ env "A" | or "B" }}', '{{ env "A" | or "B" }}'),
        ('{{ with secret "a" "k=v" }}{{ .Data.x }}{{ end }}', '{{ with secret "a" "k=v" }}'),
        ('{{ with secret "a" }}{{ .Data.x }}', '{{ with secret "a" }} does not end'),
        ("{{resolve:secretsmanager:a:SecretBinary}}", "{{resolve:secretsmanager:a:SecretBinary}}"),
        ("{{resolve:ssm:a:latest}}", "{{resolve:ssm:a:latest}}"),
        ("{{ resolve:ssm:a }}", "{{ resolve:ssm:a }}"),
        ("{{resolve:ssm: a}}", "{{resolve:ssm: a}}"),
        ("{{resolve:vault:a}}", "{{resolve:vault:a}}"),
        ("{{resolve:ssm:}}", "{{resolve:ssm:}}"),
        ("{{resolve:ssm::3}}", "{{resolve:ssm::3}}"),
        ("{{resolve:}}", "{{resolve:}}"),
        ("a {{resolve:ssm:a", "{{resolve:ssm:a can't be"),
        ("a {{resolve:ssm:a} b", "{{resolve:ssm:a can't be"),
        ('{{ env "A" }}{{ resolve:ssm:a }}', "{{ resolve:ssm:a }}"),
        ('{{ env "A" }}{{resolve:ssm:a', "{{resolve:ssm:a can't be"),
    ],
)
def test_what_cannot_be_evaluated_is_named(text: str, named_in_error: str) -> None:
    with pytest.raises(BadReference) as raised:
        parts(text)
    assert named_in_error in str(raised.value)
    assert has_reference(text)


@pytest.mark.parametrize(
    "text", ['{{ env "', "{{resolve:", '{{"', '{{resolve:"', "{{{", '{{ with secret "a" }}']
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    """A quadratic search would take minutes."""
    with suppress(BadReference):
        assert "".join(map(str, parts(text * 20_000)))


@given(st.text(st.sampled_from('{}"\\ \nenvkeyax.-:resolve'), max_size=60), st.booleans())
def test_texts_without_references_stay_as_they_are(text: str, templates: bool) -> None:
    def refuse(reference: Reference) -> str:
        raise AssertionError(reference)

    if not (has_reference(text) if templates else has_resolved(text)):
        assert filled(text, refuse, templates=templates) == text
