"""The option `node_meta` of conditions on the catalog."""

from collections.abc import Iterator, Mapping

from cts.config.rules.problem import Code, Problem, Where


def problems_of(node_meta: Mapping[str, str], where: Where) -> Iterator[Problem]:
    """Consul is asked for `key:value`, and takes what is in front of the first colon for the
    key."""
    for key in node_meta:
        if ":" in key:
            what = f'Consul can\'t be asked for a key with a colon: "{key}"'
            yield where.problem(Code.INVALID_VALUE, what, "remove it", option="node_meta")
