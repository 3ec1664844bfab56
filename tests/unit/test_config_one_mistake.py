"""One mistake is one problem or one warning, and says what would be right."""

import pytest

from cts.config.compile import Result, compile_bundle

SERVICES = 'condition "services" { names = ["w"] }'
MODULE = 'module = "acme/x/y"'
JSON_TASK = '"module": "acme/x/y", "condition": {"services": {"names": ["w"]}}'


def compiled(text: str) -> Result:
    return compile_bundle({"c.json" if text.startswith("{") else "c.hcl": text.encode()})


def task(inside: str) -> str:
    return f'task {{ name = "t" {MODULE} {inside} }}'


def condition(label: str, inside: str) -> str:
    return task(f'condition "{label}" {{ {inside} }}')


def in_json(inside: str) -> str:
    return f'{{"task": {{"name": "t", "module": "acme/x/y", {inside}}}}}'


def named(label: str) -> str:
    return f'"{label}": {{{JSON_TASK}}}'


INSIDE = 'write the name inside: task { name = "..." }'
INSIDE_JSON = 'write the name inside: "task": [{"name": "...", ...}]'
A_LIST = "must be an object, not a list; remove the square brackets"
LABELS = [
    (f'task "t" {{ {MODULE} {SERVICES} }}', INSIDE),
    (f'task "t" {{ name = "u" {MODULE} {SERVICES} }}', INSIDE),
    (f'task "t" "u" {{ {MODULE} {SERVICES} }}', INSIDE),
    (f"task {{ t {{ {MODULE} {SERVICES} }} }}", INSIDE),
    (f'{{"task": {{{named("one")}}}}}', INSIDE_JSON),
    (f'{{"task": [{{{named("one")}}}]}}', INSIDE_JSON),
    ('service "web" { description = "x" }', 'service { name = "..." }'),
    (in_json('"condition": {"type": "services", "names": ["x"]}'), 'write "condition": {"serv'),
    (in_json('"condition": {"names": ["x"], "type": "services"}'), 'write "condition": {"serv'),
    (in_json('"condition": {"names": ["x"], "filter": "x"}'), 'write condition "..." { }'),
    (in_json('"condition": "services"'), 'write "condition": {"services": {...}}'),
    (in_json('"condition": {"services": "web"}'), 'write "condition": {"services": {...}}'),
    (in_json('"condition": {"services": ["a", "b"]}'), 'write "condition": {"services": {...}}'),
    (in_json('"condition": {"services": []}'), 'write "condition": {"services": {...}}'),
    (in_json('"condition": [{"services": {"names": ["x"]}}]'), f"condition {A_LIST}"),
    ('{"consul": [{"kv_path": "x"}]}', f"consul {A_LIST}"),
    (task('condition { type = "schedule" cron = "@daily" }'), 'write condition "schedule" { ... }'),
    (task('condition = "schedule"'), 'write condition "schedule" { ... }'),
    (task('condition = "hourly"'), 'write condition "..." { ... }'),
    (task(f'{SERVICES} module_input = "consul-kv"'), 'write module_input "consul-kv" { ... }'),
    (task('condition "services" "web" { regexp = "" }'), "must not have a label"),
    ('consul "x" "y" { kv_path = "z" }', "write consul { ... }"),
    ('driver "terraform" { backend { type = "s3" bucket = "x" } }', 'write backend "..." { ... }'),
    ('driver "terraform" { backend { s3 = "x" } }', 'write backend "..." { ... }'),
    ('driver { type = "terraform" }', 'write driver "terraform" { ... }'),
    ('driver { log = true }', 'write driver "terraform" { ... }'),
    ('driver = "terraform-cloud"', 'write driver "terraform-cloud" { ... }'),
    ('terraform_provider = "p"', 'write terraform_provider "..." { ... }'),
]  # fmt: skip
CRON = 'write cron = "*/5 * * * *"'
OPTIONS = [
    (condition("catalog-services", 'names = ["x"]'), "write regexp ="),
    (condition("catalog-services", 'name = "x"'), "write regexp ="),
    (condition("schedule", 'interval = "5m"'), CRON),
    (condition("schedule", 'every = "5m"'), CRON),
    (condition("schedule", 'at = "06:00"'), 'write cron = "0 6 * * *" for every day'),
    (condition("consul-kv", 'key = "x"'), 'write path = "..."'),
    (condition("consul-kv", 'prefix = "x"'), 'write path = "..." and recurse = true'),
    (condition("services", 'service = "x"'), 'write names = ["..."]'),
    (condition("services", 'names = ["x"] tags = ["x"]'), 'write filter = "\\"web\\" in'),
    (task(f'{SERVICES} module_input "consul-kv" {{ key = "x" }}'), 'write path = "..."'),
    (f'task {{ id = "t" {MODULE} {SERVICES} }}', 'write name = "..."'),
    (f'task {{ name = "t" source_module = "a/b/c" {SERVICES} }}', "write module ="),
    (task('trigger "services" { names = ["w"] }'), 'write condition "services" { ... }'),
    ('consul { ssl { enabled = true } }', "write tls { ... }"),
    ('consul { scheme = "https" }', "write tls { enabled = true } for https"),
    ('vault { ssl { enabled = true } }', "write tls { ... }"),
    ('sync_interval = "5s"', "write buffer_period"),
    (SERVICES, "write it in a task"),
    ('module_input "services" { names = ["x"] }', "write it in a task"),
    ("required_providers { }", 'write it in driver "terraform"'),
    ('driver "terraform-cloud" { org = "x" }', 'write organization = "..."'),
    (
        'driver "terraform-cloud" { organization = "x" workspaces { name = "x" } }',
        'write prefix = "..."',
    ),
]  # fmt: skip
LINE_END = 'this string has a line end in it; write "\\n" instead, or use a heredoc'
TEXTS = [
    ('terraform_provider "p" { key = env("K") }', 'write "{{ env \\"NAME\\" }}"'),
    (condition("services", 'names = ["a\nb"]'), LINE_END),
    (task(f'{SERVICES}\ndescription = "a\n\nb"\n'), LINE_END),
    (task(f'{SERVICES}\ndescription = "a\r\nb \\" c"\n'), LINE_END),
    (task(f'{SERVICES}\ndescription = "a\nb" enabled = "true"\n'), LINE_END),
    (f'consul {{\nkv_path = "a\n}}\n{task(SERVICES)}', "this string is never closed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), LABELS + OPTIONS + TEXTS)
def test_one_mistake_is_one_problem(text: str, told: str) -> None:
    result = compiled(text)
    (problem,) = result.problems
    assert told in str(problem)
    allowed = {"deprecated", "not-needed"}
    assert {each.code.value for each in result.warnings} <= allowed


def test_each_task_below_a_name_is_told() -> None:
    result = compiled(f'{{"task": {{{named("one")}, {named("two")}}}}}')
    assert [each.path for each in result.problems] == ["task[0].one", "task[0].two"]
    assert [each.name for each in result.configuration.tasks] == ["one", "two"]


def test_two_unknown_options_do_not_both_stand_for_the_missing_one() -> None:
    result = compiled(condition("schedule", 'at = "06:00" zone = "x"'))
    assert len(result.problems) == 3


def test_a_provider_that_is_nowhere_is_warned_of_once() -> None:
    (warning,) = compiled(task(f'{SERVICES} providers = ["panos"]')).warnings
    assert 'no terraform_provider "panos"' in warning.what
    assert "PANOS_USERNAME" in warning.fix


UNITS = "min must be a duration in the units ns, us, ms, s, m and h"
DURATIONS = [
    ("5", 'min must be a duration with a unit, not "5"', 'write "5s" for seconds'),
    ("1.5", 'min must be a duration with a unit, not "1.5"', 'write "1.5s" for seconds'),
    ("5 s", 'min must be a duration without spaces, not "5 s"', 'write "5s"'),
    ("1h 30m", 'min must be a duration without spaces, not "1h 30m"', 'write "1h30m"'),
    ("1min", f'{UNITS}, not "1min"', 'write "1m"'),
    ("2 hours 5 Secs", f'{UNITS}, not "2 hours 5 Secs"', 'write "2h5s"'),
    ("1d", f'{UNITS}, not "1d"', 'write "24h"'),
    ("1.5days", f'{UNITS}, not "1.5days"', 'write "36.0h"'),
    ("1.2.3d", 'min must be a duration, not "1.2.3d"', 'write it as "5s" or "1m30s"'),
    (".5d", f'{UNITS}, not ".5d"', 'write "12.0h"'),
    (".d", 'min must be a duration, not ".d"', 'write it as "5s" or "1m30s"'),
    (". days", 'min must be a duration, not ". days"', 'write it as "5s" or "1m30s"'),
    ("3y", f'{UNITS}, not "3y"', 'write it as "5s" or "1m30s"'),
    ("1,5s", 'min must be a duration, not "1,5s"', 'write it as "5s" or "1m30s"'),
    ("soon", 'min must be a duration, not "soon"', 'write it as "5s" or "1m30s"'),
    ("", 'min must be a duration, not ""', 'write it as "5s" or "1m30s"'),
    ("9999999h", 'min must be a duration below 292 years, not "9999999h"', 'write it as "5s" or'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "what", "fix"), DURATIONS)
def test_what_is_wrong_with_a_duration(text: str, what: str, fix: str) -> None:
    (problem,) = compiled(f'buffer_period {{ min = "{text}" }}').problems
    assert problem.what == what
    assert problem.fix.startswith(fix)


@pytest.mark.parametrize("inside", ['max = "-1s"', 'min = "1s" max = "-1s"'])
def test_a_maximum_below_zero_is_warned_of(inside: str) -> None:
    result = compiled(f"buffer_period {{ {inside} }}")
    assert not result.problems
    assert [each.what for each in result.warnings] == ["max is below 0, so it is raised to min"]


def test_true_as_a_duration_is_a_nanosecond() -> None:
    (warning,) = compiled("buffer_period { min = true }").warnings
    assert warning.fix == 'write "1s"'


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ('a = "{{ env K }}"', "a"),
        ('a { b = ["{{ env K }}", "x"] }', "a.b"),
        ('task_env { K = "{{ env K }}" }', "task_env.K"),
    ],
)
def test_braces_that_are_no_template_are_told_where_they_are(argument: str, path: str) -> None:
    result = compiled(f'terraform_provider "p" {{\nx = 1\n{argument}\n}}')
    (warning,) = [each for each in result.warnings if "braces" in each.what]
    assert (warning.place.line, warning.path) == (3, f"terraform_provider.p.{path}")
