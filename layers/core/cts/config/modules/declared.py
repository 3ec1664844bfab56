"""The variables that a local module declares, and the versions of Terraform that it allows."""

from collections.abc import Mapping
from dataclasses import replace

from cts.config.modules.terraform_file import Declared, Required, TerraformFiles

OVERRIDES = ("override.tf", "override.tf.json")


def declared(files: TerraformFiles) -> Mapping[str, Declared]:
    """The variables of a module's own files, by name. Raises ParseError at what can't be read
    here: Terraform decides whether it is wrong."""
    made: dict[str, Declared] = {}
    names = (name for name in files if "/" not in name)
    for name in sorted(names, key=lambda name: (_is_override(name), name)):
        if error := files[name].unread:
            raise error
        for variable, found in files[name].variables:
            made[variable] = _merged(made[variable], found) if variable in made else found
    return made


def required(files: TerraformFiles) -> tuple[Required, ...]:
    """All that the module's own files require, unless an override file replaces that."""
    names = sorted(name for name in files if "/" not in name)
    plain = [each for name in names if not _is_override(name) for each in files[name].required]
    overrides = [files[name].required for name in names if _is_override(name)]
    return next((each for each in reversed(overrides) if each), tuple(plain))


def _is_override(name: str) -> bool:
    return name in OVERRIDES or name.endswith(tuple(f"_{each}" for each in OVERRIDES))


def _merged(base: Declared, override: Declared) -> Declared:
    return replace(
        base,
        required=base.required and override.required,
        const=base.const or override.const,
    )
