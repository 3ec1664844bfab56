"""The newest release of each line when this program was released: what a module that does not allow
the stack's version gets. Any other version can be configured."""

from collections.abc import Mapping

RELEASES: Mapping[str, tuple[str, ...]] = {
    "terraform": (
        "1.15.8",
        "1.14.9",
        "1.13.5",
        "1.12.2",
        "1.11.4",
        "1.10.5",
        "1.9.8",
        "1.8.5",
        "1.7.5",
        "1.6.6",
        "1.5.7",
        "1.4.7",
        "1.3.10",
        "1.2.9",
        "1.1.9",
        "1.0.11",
        "0.15.5",
        "0.14.11",
        "0.13.7",
    ),
    "opentofu": (
        "1.13.2",
        "1.12.11",
        "1.11.14",
        "1.10.10",
        "1.9.4",
        "1.8.11",
        "1.7.7",
        "1.6.3",
    ),
}
"""By engine, newest first."""
OLDEST: Mapping[str, tuple[int, int, int]] = {"terraform": (0, 13, 0), "opentofu": (1, 6, 0)}
"""The oldest that can execute runs. Terraform reads the sources of providers, which root modules
name, since 0.13; 1.6 is the first OpenTofu."""
