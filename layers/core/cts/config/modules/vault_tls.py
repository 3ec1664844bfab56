"""What the builds need of `vault.tls`: the texts of its files, except the key's."""

from collections.abc import Mapping

from cts.config import limits
from cts.config.blocks.model import Vault
from cts.config.bundle import Files, inside


def vault_tls(vault: Vault | None, files: Files) -> Mapping[str, str]:
    """By the option's name; nothing for options that are not set. As in CTS, `ca_path` counts only
    without `ca_cert`, and all of its files are read. Raises OverLimit."""
    tls = vault.tls if vault else None
    if tls is None or not tls.enabled:
        return {}
    authorities, certificate = _named(tls.ca_cert or tls.ca_path, files), _named(tls.cert, files)
    read = {name: len(files[name]) for name in {*authorities, *certificate}}
    limits.check_size("Vault's certificates", read, limits.LARGEST_CERTIFICATES)
    options = {
        "verify": "" if tls.verify else "false",
        "server_name": tls.server_name,
        "ca_cert": _text(authorities, files),
        "cert": _text(certificate, files),
    }
    return {name: text for name, text in options.items() if text}


def _named(path: str, files: Files) -> list[str]:
    """The file with that name, or those in the folder, sorted."""
    name = inside(path) if path else None
    if name is None:
        return []
    return [name] if name in files else sorted(n for n in files if n.startswith(f"{name}/"))


def _text(names: list[str], files: Files) -> str:
    return "\n".join(files[name].decode(errors="replace") for name in names)
