"""The modules that a local module uses itself."""

from collections.abc import Iterator
from posixpath import dirname, join

from cts.config.bundle import inside
from cts.config.modules.terraform_file import TerraformFiles
from cts.config.text.tree import ParseError


def sources_outside(files: TerraformFiles) -> Iterator[str]:
    """The local modules that a module uses from outside its own folder. Files that can't be
    read are left to Terraform."""
    for name, file in files.items():
        yield from (each for each in file.sources if inside(join(dirname(name), each)) is None)


def broken_files(files: TerraformFiles) -> Iterator[ParseError]:
    """For each file of a module, and of the modules in its folder that it uses: where it stops
    being what Terraform reads."""
    in_folder: dict[str, list[str]] = {}
    for name in sorted(files):
        in_folder.setdefault(dirname(name) or ".", []).append(name)
    folders = ["."]
    known = {*folders}
    for folder in folders:
        for name in in_folder.get(folder, ()):
            if error := files[name].fault:
                yield error
            used = (inside(join(folder, source)) for source in files[name].sources)
            new = {each for each in used if each and each not in known}
            folders += new
            known |= new
