"""CTS's extra round of escapes."""


def undoubled(text: str) -> str:
    """CTS takes expressions and filters through one more round of escapes, so that its users
    write `^web\\\\d+$` for `^web\\d+$`. No service's name has a backslash: both are read alike."""
    return text.replace("\\\\", "\\")
