"""Turn the pushed bundle into the live generation, or say why not."""

import io
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

from cts.config.bundle import LARGEST_BUNDLE
from cts.config.compile import CONTRACT, Compiled, Result, compile_bundle, differences, generation
from cts.config.problem import Code, Place, Problem
from cts.events import Event
from cts.terraform.definition import Current, Definition, Generation, Rejected
from cts.workflow.announce import announce_current, announce_rejected, version_of

MOST_KEPT = 200
"""Problems kept of a push: an item of the table holds 400 KB."""
LONGEST_TEXT = 300
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression that zipfile doesn't know
    RuntimeError,  # encrypted
    UnicodeDecodeError,
)


class Stored(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def version(self) -> str: ...


class Published(Protocol):
    def current(self) -> Current | None: ...
    def put_current(self, read: Current | None, new: Current) -> bool:
        """False if another generation became the live one since `read`."""

    def rejected(self) -> Rejected | None: ...
    def put_rejected(self, read: Rejected | None, new: Rejected) -> bool: ...


class Sources(Protocol):
    def bundle(self) -> Stored | None: ...


class Objects(Protocol):
    def generation(self, current: Current) -> Generation: ...
    def put_generation(self, generation: Generation) -> str:
        """Returns the digest that names the object."""

    def put_definition(self, definition: Definition) -> None: ...
    def put_module(self, digest: str, archive: bytes) -> None: ...


class Bus(Protocol):
    def send(self, events: Collection[Event]) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    sources: Sources
    published: Published
    objects: Objects
    bus: Bus
    now: Callable[[], float]


class Outcome(StrEnum):
    NOTHING_PUSHED = "nothing was pushed yet"
    KNOWN = "this push was answered already"
    PUBLISHED = "published"
    REJECTED = "rejected"


def publish(ports: Ports) -> Outcome:
    """Publish the newest bundle, unless it was answered already. Safe to call at any time.

    Refused because another generation came first: everything is read and compiled again.
    """
    while True:
        current, rejected = ports.published.current(), ports.published.rejected()
        stored = ports.sources.bundle()
        if stored is None:
            return Outcome.NOTHING_PUSHED
        sources = {stored.key: stored.version}
        if _answers(current, sources) or _answers(rejected, sources):
            _announce(ports, current, rejected)
            return Outcome.KNOWN
        result = _compiled(stored.body)
        if result.compiled is None:
            if _reject(ports, rejected, sources, result.problems):
                return Outcome.REJECTED
        elif _accept(ports, current, sources, result.compiled, result.warnings):
            return Outcome.PUBLISHED


def _answers(answer: Current | Rejected | None, sources: Mapping[str, str]) -> bool:
    return answer is not None and answer.sources == sources and answer.contract == CONTRACT


def _compiled(bundle: bytes) -> Result:
    try:
        files = unpacked(bundle)
    except UNREADABLE as error:
        return _unreadable(f"the pushed bundle is not a readable zip: {error}")
    if files is None:
        return _unreadable(
            f"the pushed bundle unpacks to more than {LARGEST_BUNDLE // 1024**2} MiB"
        )
    return compile_bundle(files)


def _unreadable(what: str) -> Result:
    fix = "push a folder with `cts push DIR`"
    problem = Problem(Place("the bundle"), "", Code.SYNTAX, what, fix)
    return Result(problems=(problem,), warnings=(), compiled=None)


def unpacked(bundle: bytes) -> dict[str, bytes] | None:
    """Path -> content of a zip's files; None if it is too large."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        files = [each for each in archive.infolist() if not each.is_dir()]
        if sum(each.file_size for each in files) > LARGEST_BUNDLE:
            return None
        return {each.filename: archive.read(each) for each in files}


def _accept(
    ports: Ports,
    current: Current | None,
    sources: Mapping[str, str],
    compiled: Compiled,
    warnings: Collection[Problem],
) -> bool:
    number = current.number + 1 if current else 1
    former = ports.objects.generation(current) if current else None
    made = generation(compiled, number=number, sources=sources)
    for digest, archive in compiled.modules.items():
        ports.objects.put_module(digest, archive)
    for definition in compiled.definitions.values():
        ports.objects.put_definition(definition)
    changes = differences(former, made)
    new = Current(
        number=number,
        digest=ports.objects.put_generation(made),
        contract=CONTRACT,
        sources=dict(sources),
        published_at=ports.now(),
        added=list(changes.added),
        changed=list(changes.changed),
        removed=list(changes.removed),
        warnings=[_plain(warning) for warning in [*warnings][:MOST_KEPT]],
        unannounced=[f"{version_of(sources)}/ConfigPublished"],
    )
    if not ports.published.put_current(current, new):
        return False
    announce_current(ports.published, ports.bus, new)
    return True


def _reject(
    ports: Ports,
    read: Rejected | None,
    sources: Mapping[str, str],
    problems: Collection[Problem],
) -> bool:
    new = Rejected(
        sources=dict(sources),
        contract=CONTRACT,
        rejected_at=ports.now(),
        problem_count=len(problems),
        problems=[_plain(problem) for problem in [*problems][:MOST_KEPT]],
        unannounced=[f"{version_of(sources)}/ConfigRejected"],
    )
    if not ports.published.put_rejected(read, new):
        return False
    announce_rejected(ports.published, ports.bus, new)
    return True


def _plain(problem: Problem) -> dict[str, Any]:
    """The problem as JSON: file, line, column, path, code, what, fix."""
    return {
        **asdict(problem.place),
        "path": problem.path[:LONGEST_TEXT],
        "code": problem.code.value,
        "what": problem.what[:LONGEST_TEXT],
        "fix": problem.fix[:LONGEST_TEXT],
    }


def _announce(ports: Ports, current: Current | None, rejected: Rejected | None) -> None:
    if current and current.unannounced:
        announce_current(ports.published, ports.bus, current)
    if rejected and rejected.unannounced:
        announce_rejected(ports.published, ports.bus, rejected)
