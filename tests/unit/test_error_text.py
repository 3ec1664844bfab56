"""What people see of an error."""

import pytest

from cts.run.error_text import error_line

PRECONDITION = """terraform plan: Error: Resource precondition failed

  on main.tf line 6, in resource "terraform_data" "a":
   6:       condition     = var.n > 0
    ├────────────────
    │ var.n is 0

The firewall needs at least one service that is healthy, and this is a rather
long text.

Error: Resource precondition failed

  on main.tf line 9
"""
BOXED = """╷
│ Error: Invalid value for variable
│
│   on v.tf line 1:
│    1: variable "v" {
│     ├────────────────
│     │ var.v is 1
│
│ The value must be over 3.
│
│ This was checked by the validation rule at v.tf:3,3-13.
╵
"""
PROVISIONER = """terraform apply: Error: local-exec provisioner error

  with terraform_data.b,
  on v.tf line 2, in resource "terraform_data" "b":
   2:   provisioner "local-exec" {

Error running command 'exit 3': exit
status 3. Output: no route to host
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, ""),
        ("\n \n", ""),
        ("\n╷\n│ Error: no route\n│\n", "Error: no route"),
        ("the state is locked by ann\n\nmore", "the state is locked by ann"),
        ("Error: one\n\nError: two\n", "Error: one"),
        (
            PRECONDITION,
            (
                "terraform plan: Error: Resource precondition failed: The firewall needs at least "
                "one service that is healthy, and this is a rather long text."
            ),
        ),
        (BOXED, "Error: Invalid value for variable: The value must be over 3."),
        (
            PROVISIONER,
            (
                "terraform apply: Error: local-exec provisioner error: Error running command "
                "'exit 3': exit status 3. Output: no route to host"
            ),
        ),
        ("Error: x\n\n" + "y" * 999, f"Error: x: {'y' * 290}…"),
    ],
)
def test_an_error_in_one_line_says_what_terraform_says_below_the_place(
    text: str | None, line: str
) -> None:
    assert error_line(text) == line
