"""HCL 2 expressions of constants have the value that Terraform gives them.

The values of the first table were computed by Terraform 1.11.4, each through a variable file.
"""

from typing import Any

import pytest

from cts.config.modules.tfvars import read_variables

TERRAFORM: dict[str, Any] = {
    # numbers
    "1.50": 1.5,
    "1e3": 1000,
    "1E+3": 1000,
    "1e-7": 1e-7,
    "010": 10,
    "123456789012345678901234567890": 123456789012345678901234567890,
    "9007199254740993.0": 9007199254740993,
    "-0": 0,
    "0.1 + 0.2": 0.3,
    "1 / 3": 1 / 3,
    "10 / 3 * 3": 10,
    "6 / 3": 2,
    "1-22": -21,
    "1 - - 1": 2,
    "--1": 1,
    "-7 % 3": -1,
    "7 % -3": 1,
    "5.5 % 2": 1.5,
    "2 + 3 * 4": 14,
    "(2 + 3) * 4": 20,
    "12 / 2 / 3": 2,
    "-[1, 2][0]": -1,
    '"1" + 1': 2,
    '"1.50" + 0': 1.5,
    '"+1" + 0': 1,
    '".5" + 0': 0.5,
    '-"1"': -1,
    # comparison and logic
    "1 == 1.0": True,
    '1 == "1"': False,
    '"true" == true': False,
    "1 == true": False,
    "null == null": True,
    "1 == null": False,
    "0 == -0": True,
    "0.1 + 0.2 == 0.3": True,
    "1 / 3 * 3 == 1": True,
    '[1, 2] == ["1", 2]': False,
    "{a = 1, b = [2]} == {b = [2], a = 1}": True,
    "[] == {}": False,
    '"1" < 2': True,
    "1 < 2 == true": True,
    "1 + 1 < 3 && true": True,
    "true || false && false": True,
    "!true == false": True,
    "!!true": True,
    '"true" && true': True,
    '"1" && true': True,
    # conditions
    "true ? 1 : 2": 1,
    "true ? false ? 1 : 2 : 3": 2,
    "true ? 1 : false ? 2 : 3": 1,
    "true ? null : 1": None,
    "true ? [1] : []": [1],
    "true ? {a = 1} : {}": {"a": 1},
    "true ? [{a = 1}, {b = 2}] : []": [{"a": 1}, {"b": 2}],
    "true ? [[1]] : [[2], [3]]": [[1]],
    "true ? 1 : [][0]": 1,
    "false ? b : 1": 1,
    # texts
    '"x${1 + 2}y"': "x3y",
    '"${1}"': 1,
    '"${null}"': None,
    '"${[1]}"': [1],
    '"${"a${"b"}"}"': "ab",
    '"${1}${2}"': "12",
    '"${1e3}x"': "1000x",
    '"${1.50}x"': "1.5x",
    '"${1e-10}x"': "0.0000000001x",
    '"${1e30}x"': "1000000000000000000000000000000x",
    '"${-0}x"': "-0x",
    '"${true}x"': "truex",
    '"${"}"}"': "}",
    '"${1}}"': "1}",
    '"${{a = 1}.a}"': 1,
    '"${\n1\n}"': 1,
    '"${ /* c */ 1 }"': 1,
    '"a ${~ 1 ~} b"': "a1b",
    '"a ${ 1 ~} b"': "a 1b",
    '"\\n  ${~ "a" ~} \\n b"': "ab",
    '" ${~ "a" ~}  ${~ "b" ~} "': "ab",
    '"$${a} %%{b}"': "${a} %{b}",
    '"$$${a} $$$${a} %$${a}"': "$${a} $$${a} %${a}",
    '"%%%{a} %%%%{a} $%%{a}"': "%%{a} %%%{a} $%{a}",
    '"$ $$ $a % %% $$a{"': "$ $$ $a % %% $$a{",
    r'"\n\t\\\"\r\u00e9\U0001F600"': '\n\t\\"\ré\U0001f600',
    r'"\u0024{1}"': "${1}",
    '"é"': "é",
    # directives
    '"%{ if true }a%{ else }b%{ endif }"': "a",
    '"x%{ if false }a%{ endif }"': "x",
    '"%{ if 1 > 0 ~} a %{~ else ~} b %{~ endif }"': "a",
    '"%{ if true }${1}%{ endif }"': "1",
    '"%{ if false }${null}%{ endif }"': "",
    '"%{ for x in [1, 2] }${x},%{ endfor }"': "1,2,",
    '"%{ for k, v in {b = 1, a = 2} }${k}${v},%{ endfor }"': "a2,b1,",
    '"%{ for x in [1, 2] ~} ${x} %{ endfor ~} "': "1 2 ",
    '"%{ for x in ["a"] }%{ if x == "a" }yes%{ endif }%{ endfor }"': "yes",
    # heredocs
    "<<E\nhello\nE": "hello\n",
    "<<E\nE": "",
    '<<E\na\\nb "q" \\\nE': 'a\\nb "q" \\\n',
    "<<E\nx ${1 + 1} $${b} $ %\nE": "x 2 ${b} $ %\n",
    "<<E\na\nE x\n  E": "a\nE x\n",
    "<<E\n${1}E\n\tE\t": "1E\n",
    "<<E\na\r\nb\r\nE\r": "a\r\nb\r\n",
    "<<é\na\né": "a\n",
    '<<E\n${"E"}\n${<<F\nx\nF\n}\nE': "E\nx\n\n",
    "<<E\n%{ for x in [1, 2] ~}\n- ${x}\n%{ endfor ~}\nE": "- 1\n- 2\n",
    "<<E\n  a ${1 ~}\n\n  b\nE": "  a 1\n  b\n",
    "<<-E\n    a\n      ${1}\n   b\n  E": " a\n   1\nb\n",
    "<<-E\n    ${1}\n  ${2}\n    E": "  1\n2\n",
    "<<-E\n\n  a\n \n  E": "\na\n \n",
    "<<-E\n\ta\n\t  b\n\tE": "a\n  b\n",
    "<<-E\n  c\n${1}  b\n    d\nE": "  c\n1  b\n    d\n",
    "<<-E\n  a\n  ${~ 1 }\n  b\n  E": "  a\n1\n  b\n",
    "<<-E\n    a\n  %{ for x in [1, 2] ~}\n    ${x}\n  %{ endfor ~}\n  E": "  a\n    1\n    2\n",
    "[<<E\na\nE\n, 2]": ["a\n", 2],
    "{\na = <<E\na\nE\nb = 1\n}": {"a": "a\n", "b": 1},
    # what python-hcl2 alone reads as something else, or not at all
    '["$${", "}", "%%{"]': ["${", "}", "%{"],
    '"%{ if "a" == "a" }b%{ endif }$${"': "b${",
    "[for in in [1] : -in]": [-1],
    "[for if in [1] : if if if == 1]": [1],
    "{for k, v in {a = 1} : k => v... if v == 1}": {"a": [1]},
    "{a = 1\n--1 = 2\n!true = 3}": {"a": 1, "1": 2, "false": 3},
    "{a = 1, for = 2, for_each = 3}": {"a": 1, "for": 2, "for_each": 3},
    "{größe = {ß = 1}}.größe.ß": 1,
    '"${<<E\n"} ${ "x" } #\nE\n}"': '"} x #\n',
    # lists and maps
    '[1, "a", true, null, [], {},]': [1, "a", True, None, [], {}],
    "[\n 1, # one\n 2 /* two */\n]": [1, 2],
    "[1\n,2\n]": [1, 2],
    '{a : 1, "b c" : 2}': {"a": 1, "b c": 2},
    "{\n a = 1\n\n # c\n b = 2,\n}": {"a": 1, "b": 2},
    "{ a = 1, \n}": {"a": 1},
    "{a = (1\n + 2)}": {"a": 3},
    "{in = 1, if = 2, true = 3, null = 4, a- = 5, é = 6}": {
        "in": 1,
        "if": 2,
        "true": 3,
        "null": 4,
        "a-": 5,
        "é": 6,
    },
    '{1.50 = 1, (1 + 1) = 2, "a${1}" = 3, -1 = 4, !true = 5}': {
        "1.5": 1,
        "2": 2,
        "a1": 3,
        "-1": 4,
        "false": 5,
    },
    '{a = 1, "a" = 2}': {"a": 2},
    '{true ? "a" : "b" = 1}': {"a": 1},
    # parts of them
    "[1, 2][1]": 2,
    '[1, 2]["1"]': 2,
    "[1, 2] . 1": 2,
    "[[1, 2], [3]][0][1]": 2,
    "{a = {b = [2]}}.a.b[0]": 2,
    '{"1" = 5}[1]': 5,
    "{a = 1}[\n'a'\n]".replace("'", '"'): 1,
    # for
    "[for x in [1, 2] : x * 2]": [2, 4],
    '[for i, x in ["a", "b"] : "${i}-${x}"]': ["0-a", "1-b"],
    "[for k, v in {b = 1, a = 2} : [k, v]]": [["a", 2], ["b", 1]],
    "[\n for x in [1, 2, 3] :\n x if x > 1\n]": [2, 3],
    "[for x in [[1, 2], [3]] : [for y in x : y + 1]]": [[2, 3], [4]],
    "[for x in [1] : [for x in [2] : x]]": [[2]],
    "[for in in [1] : in]": [1],
    "[for x in [] : y]": [],
    "[for x in [] : f(x)]": [],
    '{for x in ["a", "b"] : x => "${x}!"}': {"a": "a!", "b": "b!"},
    "{for x in [true, 1] : x => x}": {"true": True, "1": 1},
    '{for i, x in ["a", "b", "a"] : x => i...}': {"a": [0, 2], "b": [1]},
    '{\n for i, x in ["a", "b"] :\n x => i if i > 0\n}': {"b": 1},
    # comments and blanks
    "/* a */ 1 # b": 1,
    "1 // 2": 1,
    "1 /*\n*/": 1,
    "\t1\r": 1,
    "(\n true\n ? 1\n : 2\n)": 1,
}


@pytest.mark.parametrize("expression", TERRAFORM)
def test_an_expression_has_the_value_terraform_gives_it(expression: str) -> None:
    values, problems = read_variables(f"a = {expression}\n".encode(), "v.tfvars")
    assert not problems
    assert repr(values["a"]) == repr(TERRAFORM[expression])


OTHERWISE: dict[str, Any] = {
    'true ? 1 : "x"': 1,  # Terraform: "1"
    'true ? [1] : ["x"]': [1],  # Terraform: ["1"]
    'true ? [1, "a", true] : []': [1, "a", True],  # Terraform: ["1", "a", "true"]
    "true ? 5 : true": 5,  # Terraform refuses it
    "null == null ? [] : [1, true]": [],  # Terraform refuses it
}


@pytest.mark.parametrize("expression", OTHERWISE)
def test_a_condition_gives_the_chosen_side_as_it_is(expression: str) -> None:
    values, problems = read_variables(f"a = {expression}\n".encode(), "v.tfvars")
    assert not problems
    assert repr(values["a"]) == repr(OTHERWISE[expression])


# A variable file with one of these travels to Terraform as it is.
STRICTER = {
    "1 % 0": "division by zero",  # Terraform: 1
    "1 / 0 > 1": "division by zero",  # Terraform: true, but infinity can't be stored
    "1e301": "this number is too large or too small",
    "1e-301": "this number is too large or too small",
    "[{a = 1}][*].a": "`*` is not supported here",
    "[{a = 1}].*.a": "`*` is not supported here",
}


@pytest.mark.parametrize("expression", STRICTER)
def test_what_terraform_gives_a_value_and_nobody_writes(expression: str) -> None:
    _, problems = read_variables(f"a = {expression}\n".encode(), "v.tfvars")
    assert [problem.what.startswith(STRICTER[expression]) for problem in problems] == [True]


WRONG = {
    # not constant
    "b": "1:5 unquoted names are not allowed here",
    "1 + var.b": "1:9 unquoted names are not allowed here",
    '"${b}"': "1:8 unquoted names are not allowed here",
    "[for x in [1] : y]": "1:21 unquoted names are not allowed here",
    "{(b) = 1}": "1:7 unquoted names are not allowed here",
    'upper("x")': "1:5 functions are not allowed here",
    "a::b(1)": "1:5 functions are not allowed here",
    # not an expression
    "": "1:5 the end of the line is not expected here",
    "1 2": "1:7 a number is not expected here",
    "1,": "1:6 `,` is not expected here",
    "1;": "1:6 `;` is not expected here",
    "1 +": "1:8 the end of the line is not expected here",
    "{a = 1 +\n2}": "1:13 the end of the line is not expected here",
    "+5": "1:5 `+` is not expected here",
    "1 === 2": "1:9 `=` is not expected here",
    "true ? 1": "1:13 the end of the line is not expected here",
    '"a" "b"': "1:9 a string is not expected here",
    "'a'": "1:5 `'` is not expected here",
    ".5": "1:5 `.` is not expected here",
    "[1].5.1": "1:9 a number is not expected here",
    "[1 2]": "1:8 a number is not expected here",
    "[1,, 2]": "1:8 `,` is not expected here",
    "{a = 1 b = 2}": "1:12 unquoted text is not expected here",
    "{a = 1\n,b = 2}": "2:1 `,` is not expected here",
    "{a\n = 1}": "1:7 the end of the line is not expected here",
    "{for = 1}": "1:10 `=` is not expected here",
    "[for x in [1] : x => 1]": "1:23 `=>` is not expected here",
    "{for x in [1] : x}": "1:22 `}` is not expected here",
    "1]": "1:6 `]` is not expected here",
    "é² + 1": "1:5 a name can only contain letters",
    # never closed
    "[1": '1:5 this "[" is never closed',
    "(1\n": '1:5 this "(" is never closed',
    "{a = 1": '1:5 this "{" is never closed',
    '"x': "1:5 this string is never closed",
    '"x\ny"': "1:5 this string is never closed",
    '"${1"': '1:6 this "${" is never closed',
    "<<E\nx\nE y\n": "1:5 this heredoc is never closed",
    "1 /* x": "1:7 this comment is never closed",
    # texts
    r'"\d"': r"1:6 unknown escape `\d`",
    r'"x\u12"': r"1:7 unknown escape `\u`",
    r'"\ud800"': r"1:6 unknown escape `\u`",
    r'"\$"': r"1:6 unknown escape `\$`",
    '"${1 2}"': "1:10 a number is not expected here",
    '"x${null}"': "1:9 null can't be converted to a string",
    '"x${[1]}"': "1:9 a list can't be converted to a string",
    '"%{ if true }a"': "1:6 this directive is never closed",
    '"%{ if true }%{ endfor }"': "1:18 `%{ endfor }` does not match an open directive",
    '"%{ if true }%{ else }%{ else }%{ endif }"': "1:27 `%{ else }` does not match an open",
    '"%{ endif }"': "1:6 `%{ endif }` does not match an open directive",
    '"%{ x }"': "1:9 this is not a directive",
    '"%{ for x in 5 }a%{ endfor }"': "1:18 `for` needs a list or a map",
    '"%{ if "x" }a%{ endif }"': "1:12 a string is neither true nor false",
    # kinds
    '1 + "a"': "1:9 a string is not a number",
    "1 + null": "1:9 null is not a number",
    "1 < true": "1:9 true or false is not a number",
    "[1] + [2]": "1:5 a list is not a number",
    "!5": "1:6 a number is neither true nor false",
    "null ? 1 : 2": "1:5 null is neither true nor false",
    "[1][*]": "1:9 `*` is not supported here",
    "[1].*": "1:9 `*` is not supported here",
    "[for x in 1 : x]": "1:15 `for` needs a list or a map, not a number",
    "[for x in null : x]": "1:15 `for` needs a list or a map, not null",
    "[for x in [1] : x if 1]": "1:26 a number is neither true nor false",
    '{for x in ["a", "a"] : x => 1}': "1:28 two items have the same key",
    "{for x in [null] : x => 1}": "1:24 null can't be converted to a string",
    "{([1]) = 1}": "1:7 a list can't be converted to a string",
    "[1][1]": "1:9 there is no item with this index",
    "[1][-1]": "1:9 there is no item with this index",
    "[1][0.5]": "1:9 there is no item with this index",
    '[1]["a"]': "1:9 a string is not a number",
    "{a = 1}.b": "1:13 there is no such key in the map",
    "null.a": "1:5 null has no items",
    '"abc"[0]': "1:5 a string has no items",
    "1 / 0": "1:5 division by zero",
    # too much
    "1e99999999999": "1:5 this number is too large",
    "1e200 * 1e200": "1:5 this number is too large",
    '"1e999" + 0': "1:5 this number is too large",
    "[" * 60 + "]" * 60: "1:55 more than 50 levels of nesting",
    "true ? " * 60 + "1" + " : 1" * 60: "1:355 more than 50 levels of nesting",
    '"' + "%{ if true }" * 60 + "%{ endif }" * 60 + '"': "1:606 more than 50 levels of nesting",
    "+".join(["1"] * 500): "1:5 this expression is too complex",
}


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        *WRONG.items(),
        pytest.param(
            "+".join(["1"] * 5000),
            "1:5 this expression is too complex",
            marks=pytest.mark.slow,
            id="a long sum",
        ),
    ],
)
def test_a_mistake_is_shown_at_its_place(expression: str, mistake: str) -> None:
    _, problems = read_variables(f"a = {expression}\n".encode(), "v.tfvars")
    assert len(problems) == 1
    place, what = mistake.split(" ", 1)
    assert str(problems[0].place) == f"v.tfvars:{place}"
    assert problems[0].what.startswith(what)


HUNDRED = "[" + ", ".join(["1"] * 100) + "]"


@pytest.mark.slow
@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(
            "".join(f"[for x{n} in {HUNDRED} : " for n in range(4)) + "1" + "]" * 4, id="rounds"
        ),
        pytest.param(
            '[for x0 in ["aaaaaaaa"] : '
            + "".join(f'[for x{n + 1} in ["${{x{n}}}${{x{n}}}"] : ' for n in range(40))
            + "x40"
            + "]" * 41,
            id="a text doubled",
        ),
        *(
            pytest.param(
                "[for x0 in [[1]] : "
                + "".join(f"[for x{n + 1} in [[x{n}, x{n}]] : " for n in range(40))
                + last
                + "]" * 41,
                id=f"a list doubled: {last}",
            )
            for last in ("x40", "x40 == x40")
        ),
    ],
)
def test_a_short_expression_that_makes_too_much_is_given_up(expression: str) -> None:
    text = f"a = {expression}\nb = 1\n"
    _, problems = read_variables(text.encode(), "v.tfvars")
    assert [problem.what for problem in problems] == [
        "this expression is too complex to be evaluated here"
    ]
