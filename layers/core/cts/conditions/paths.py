"""Names in the paths of Consul's HTTP API."""

CLEANED_AWAY = frozenset({"", ".", ".."})
"""Parts of a path that Consul's HTTP server removes, also if they are percent-encoded."""
FAULT = "Consul's HTTP API reads another {} if a part of the {} is empty, . or .."
SERVICE_FAULT = FAULT.format("service", "name"), "register it under another name"
"""What is wrong with a service's name, and what would be right."""


def can_be_asked_for(name: str) -> bool:
    """Whether a path that ends with this name leads to what has the name."""
    return not CLEANED_AWAY.intersection(name.removesuffix("/").split("/"))
