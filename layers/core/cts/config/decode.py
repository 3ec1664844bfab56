"""Plain values to the model, with a problem for each unknown option and wrong type.

What CTS 0.9.0 knows and this version does not is listed here, and said to be so.
"""

from cts.config.model import Buffer, Configuration, Consul, Services, Task
from cts.config.options import Options
from cts.config.problem import Code, Problem
from cts.config.tree import Value

LATER = (
    "log_level", "port", "working_dir", "id", "client_type", "syslog", "vault",
    "terraform_provider", "service", "tls", "license", "license_path", "high_availability",
)  # fmt: skip
LATER_CONSUL = ("kv_path", "kv_namespace", "auth", "tls", "transport", "service_registration")
LATER_DRIVER = ("version", "log", "persist_log", "path", "backend", "required_providers")
LATER_TASK = (
    "providers", "source", "variables", "module_input", "source_input", "services",
    "working_dir", "terraform_version", "terraform_cloud_workspace",
)  # fmt: skip
LATER_CONDITIONS = ("catalog-services", "consul-kv", "schedule", "no-condition")
LATER_SERVICES = (
    "datacenter", "namespace", "filter", "cts_user_defined_meta", "use_as_module_input",
    "source_includes_var",
)  # fmt: skip
SERVICES = 'write condition "services" { ... }'


def decode(file: Value, problems: list[Problem], *, is_hcl: bool) -> Configuration:
    """One file's configuration."""
    options = Options(file, "", problems, lone_element=is_hcl)
    consul, buffer = options.block("consul"), options.block("buffer_period")
    configuration = Configuration(
        consul=_consul(consul) if consul else None,
        buffer=_buffer(buffer) if buffer else None,
        tasks=tuple(_task(options, task, n) for n, task in enumerate(options.blocks("task"))),
    )
    if driver := options.block("driver"):
        _driver(driver)
    options.refuse_later(LATER)
    options.finish()
    return configuration


def _consul(options: Options) -> Consul:
    consul = Consul(options.where, options.text("address"), options.text("token"))
    options.refuse_later(LATER_CONSUL)
    options.finish()
    return consul


def _buffer(options: Options) -> Buffer:
    enabled, shortest = options.flag("enabled"), options.seconds("min")
    buffer = Buffer(options.where, enabled, shortest, options.seconds("max"))
    options.finish()
    return buffer


def _driver(options: Options) -> None:
    if terraform := options.block("terraform"):
        terraform.refuse_later(LATER_DRIVER)
        terraform.finish()
    options.refuse_later(("terraform-cloud",))
    options.finish()


def _task(outer: Options, value: Value, number: int) -> Task:
    options = outer.inside(f"task[{number}]", value)
    if (label := options.lone_label()) is not None:
        fix = 'write the name inside: task { name = "..." }'
        options.add(label.place, Code.UNKNOWN_OPTION, label.key, "a task has no label", fix)
        options = outer.inside(f"task[{number}]", label.value)
    name = options.text("name") or ""
    if name:
        options.path = f"task.{name}"
    condition, buffer = options.block("condition"), options.block("buffer_period")
    task = Task(
        where=options.where,
        name=name,
        description=options.text("description") or "",
        enabled=options.flag("enabled") is not False,
        module=options.text("module") or "",
        version=options.text("version") or "",
        variable_files=options.texts("variable_files") or (),
        condition=_condition(condition) if condition else None,
        has_condition="condition" in options.places,
        buffer=_buffer(buffer) if buffer else None,
    )
    options.refuse_later(LATER_TASK)
    options.finish()
    return task


def _condition(options: Options) -> Services | None:
    """The condition, if it is of a supported type. Types match exactly, unlike options."""
    types = {entry.key: entry for entry in options.left}
    if len(types) != 1:
        what = f"a condition has one type, not {len(types)}"
        options.problems.append(options.where.problem(Code.CONDITION_TYPE, what, SERVICES))
    for name, entry in types.items():
        if name in LATER_CONDITIONS:
            what = f'condition "{name}" is not supported yet'
            options.add(entry.place, Code.NOT_SUPPORTED_YET, name, what)
        elif name != "services":
            what = f'there is no condition "{name}"'
            options.add(entry.place, Code.CONDITION_TYPE, name, what, SERVICES)
    if "services" not in types or not (found := options.bodies("services", types["services"])):
        return None
    return _services(
        Options(found[0], f"{options.path}.services", options.problems, lone_element=True)
    )


def _services(options: Options) -> Services:
    names, regexp = options.texts("names") or (), options.text("regexp")
    options.refuse_later(LATER_SERVICES)
    options.finish()
    return Services(options.where, names, regexp if regexp is None else undoubled(regexp))


def undoubled(regexp: str) -> str:
    """CTS takes an expression through one more round of escapes, so that its users write
    `^web\\\\d+$` for `^web\\d+$`. No service's name has a backslash: both are read alike."""
    return regexp.replace("\\\\", "\\")
