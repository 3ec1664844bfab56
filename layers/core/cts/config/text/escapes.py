"""CTS's extra round of escapes."""


def undoubled(text: str) -> str:
    """CTS decodes escapes in expressions and filters twice, so its users write `^web\\\\d+$` for
    `^web\\d+$`. Service names never contain backslashes, so both mean the same here."""
    return text.replace("\\\\", "\\")
