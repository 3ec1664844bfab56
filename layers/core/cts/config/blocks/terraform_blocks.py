"""Blocks whose options only Terraform knows: providers, backends, required providers."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cts.build.masking import NO_SECRET
from cts.config.blocks.model import Backend, ProviderBlock
from cts.config.blocks.options import A_STRING, Findings, Options
from cts.config.blocks.schema import Group
from cts.config.local_files import is_path_of_key, names_file
from cts.config.moving import env_name, noted
from cts.config.rules.problem import Code, Place, Problem, Where, joined
from cts.config.secrets import has_secret_name, looks_secret
from cts.config.text.tree import Body, Entry, Value

BACKENDS = "driver.terraform.backend."
BACKEND_CONSUL = f"{BACKENDS}consul."
PROVIDERS = "terraform_provider."
RESERVED = ("alias", "auto_commit", "task_env")


@dataclass(frozen=True, slots=True)
class Free:
    """Reads one body. In HCL a list of one element is its element, as in CTS."""

    found: Findings
    is_hcl: bool
    finds_secrets: bool = True
    is_provider: bool = False
    """Whose blocks may be repeated: they are a list."""

    def body(self, body: Body, path: str, *, hidden: bool = False) -> dict[str, Any]:
        """`hidden`: it stands below a name that is a secret's."""
        by_key: dict[str, list[Entry]] = {}
        for entry in body.entries:
            by_key.setdefault(entry.key, []).append(entry)
        return {
            key: self.option(entries, f"{path}.{key}", hidden=hidden)
            for key, entries in by_key.items()
        }

    def option(self, entries: list[Entry], path: str, *, hidden: bool = False) -> Any:
        values = [entry.value for entry in entries]
        blocks = [value for value in values if isinstance(value.data, Body)]
        is_repeated = self.is_provider and len(blocks) == len(values)
        if blocks and len(values) > 1 and not is_repeated:
            what = "there is already a block with this name"
            fix = "keep only one, because it is not clear which one is meant"
            self.problem(entries[-1].place, Code.REPEATED_BLOCK, path, what, fix)
        if blocks and is_repeated and len(blocks) > 1:
            last = replace(values[-1], data=tuple(blocks))
        elif all(isinstance(value.data, tuple) for value in values):
            items = [item for value in values for item in value.items]
            last = Value(values[-1].place, tuple(items), values[-1].start, values[-1].end)
        else:
            last = values[-1]
            self.overridden(entries[:-1], path.removesuffix(f".{entries[-1].key}"))
        match last.data:
            case (only,) if self.is_hcl:
                last = only
        return self.value(last, path, entries[-1].key, hidden=hidden)

    def overridden(self, entries: Iterable[Entry], path: str) -> None:
        """Note the secrets in ignored entries too, because they are in the file."""
        found = Findings()
        unread = replace(self, found=found)
        for entry in entries:
            unread.value(entry.value, joined(path, entry.key), entry.key)
        self.found.secrets.extend(replace(each, is_ignored=True) for each in found.secrets)

    def value(self, value: Value, path: str, key: str, *, hidden: bool = False) -> Any:
        inner = hidden or has_secret_name(key)
        match value.data:
            case Body() as body:
                return self.body(body, path, hidden=inner)
            case tuple() as items:
                return [
                    self.value(item, f"{path}[{n}]", key, hidden=inner)
                    for n, item in enumerate(items)
                ]
        if self.finds_secrets and self.is_secret(key, value.data, hidden=hidden):
            self.note(value, path, key, hidden=inner)
        elif self.finds_secrets and isinstance(value.data, str) and names_file(key, value.data):
            self.found.warnings.append(stays_behind(Where(path, value.place)))
        return value.data

    def is_secret(self, key: str, data: object, *, hidden: bool) -> bool:
        if isinstance(data, str) and is_path_of_key(key, data) and not _holds_key(key, data):
            return False
        return looks_secret(key, data, hidden=hidden and not NO_SECRET.fullmatch(key))

    def note(self, value: Value, path: str, key: str, *, hidden: bool) -> None:
        where, is_file = Where(path, value.place), _holds_key(key, str(value.data))
        name = env_name(path)
        self.found.secrets.extend(
            noted(value, where, Group.TASK, name, is_named=hidden, is_file=is_file)
        )

    def problem(self, place: Place, code: Code, path: str, what: str, fix: str = "") -> None:
        self.found.problems.append(Problem(place, path, code, what, fix))


def _holds_key(key: str, text: str) -> bool:
    """Whether the argument takes the content of the file that it names, too."""
    return key.lower() == "credentials" and text.endswith(".json")


def stays_behind(where: Where) -> Problem:
    """The warning about a file that is named."""
    what = "this is the path of a file, which is not pushed: a build won't find it"
    store = (
        'also accepts the content, store it with `cts secret set NAME` and write {{ env "NAME" }}'
    )
    if where.path.startswith(BACKEND_CONSUL):
        fix = "remove it if this is the stack's Consul: its parameters say how builds reach it"
    elif where.path.startswith(BACKENDS):
        fix = f"if the backend {store}"
    elif where.path.startswith(PROVIDERS):
        fix = f"if the provider {store}"
    else:
        fix = f"if what reads it {store}"
    return where.problem(Code.FILE_MISSING, what, fix)


def providers(options: Options, key: str) -> tuple[ProviderBlock, ...]:
    blocks = options.blocks(key)
    if options.is_hcl:
        _mixed(options, key, blocks)
    made = [_provider(options, f"{key}[{n}]", value) for n, value in enumerate(blocks)]
    return tuple(each for each in made if each)


def _mixed(options: Options, key: str, blocks: list[Value]) -> None:
    """In HCL 1, either all blocks with the same name have a label, or none."""
    labelled = [_is_labelled(value) for value in blocks]
    if any(labelled) and not all(labelled):
        what = f"this {key} has no name, but another one does"
        place = blocks[labelled.index(False)].place
        options.add(place, Code.MISSING_OPTION, key, what, f'write {key} "..." {{ }}')


def _is_labelled(value: Value) -> bool:
    return any(entry.is_label for entry in value.entries)


def _provider(options: Options, key: str, value: Value) -> ProviderBlock | None:
    entries = value.entries
    if len(entries) != 1 or not isinstance(entries[0].value.data, Body):
        what = "the provider has no name" if not entries else "this must be one named provider"
        fix = 'write terraform_provider "..." { ... }'
        options.add(value.place, Code.MISSING_OPTION, key, what, fix)
        return None
    name, body = entries[0].key, entries[0].value.data
    inside = options.inside(f"terraform_provider.{name}", Value(value.place, body))
    alias = _alias(inside)
    if alias:
        inside.path += f".{alias}"
    arguments = Body(tuple(entry for entry in body.entries if entry.key not in RESERVED))
    inside.places.update((entry.key, entry.value.place) for entry in body.entries)
    free = Free(options.found, options.is_hcl, is_provider=True)
    return ProviderBlock(
        where=inside.where,
        name=name,
        alias=alias,
        auto_commit=any(e.key == "auto_commit" and e.value.data is True for e in body.entries),
        task_env=_task_env(inside, free, body),
        arguments=free.body(arguments, inside.path),
    )


def _alias(options: Options) -> str:
    entry = next((each for each in reversed(options.left) if each.key == "alias"), None)
    if entry is None or entry.value.data is None:
        return ""
    alias = options.lone(entry.value).data
    options.places["alias"] = entry.value.place
    if isinstance(alias, str):
        return alias
    options.wrong("alias", entry.value, "must be a string", A_STRING)
    return ""


def _task_env(options: Options, free: Free, body: Body) -> dict[str, str]:
    entries = [entry for entry in body.entries if entry.key == "task_env"]
    if not entries:
        return {}
    if len(entries) > 1 or not isinstance(options.lone(entries[0].value).data, Body):
        fix = 'write task_env { NAME = "..." }'
        options.wrong("task_env", entries[-1].value, "must be one block of names and strings", fix)
        return {}
    env = free.option(entries, f"{options.path}.task_env")
    inner = {entry.key: entry for entry in options.inner("task_env", entries[0])}
    for name, value in env.items():
        if not isinstance(value, str):
            options.wrong(f"task_env.{name}", inner[name].value, "must be a string", A_STRING)
    return {name: value for name, value in env.items() if isinstance(value, str)}


def backends(options: Options, key: str) -> tuple[Backend, ...]:
    """One backend for each type that is written; of one type the last block alone counts."""
    found, is_told = list[Backend](), False
    bodies = (body for entry in options.entries(key) for body in options.bodies(key, entry))
    entries = [each for body in bodies for each in body.entries]
    last = {each.key: each for each in entries}
    for each in entries:
        if each is not last[each.key]:
            Free(options.found, options.is_hcl).overridden([each], options.path_of(key))
        elif isinstance(inside := options.lone(each.value).data, Body):
            found.append(_backend(options, each, inside))
        elif not is_told:  # options without a type are one mistake
            fix = options.as_block(key)
            options.wrong(f"backend.{each.key}", each.value, "must be a block", fix)
            is_told = True
    return tuple(found)


def _backend(options: Options, entry: Entry, body: Body) -> Backend:
    inside = options.inside(f"backend.{entry.key}", Value(entry.place, entry.value.data))
    inside.places.update((each.key, each.value.place) for each in body.entries)
    free = Free(options.found, options.is_hcl)
    return Backend(inside.where, entry.key, free.body(body, inside.path))
