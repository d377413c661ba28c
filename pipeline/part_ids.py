"""Part ids as they can be shown and recorded, wherever they come from."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 200  # characters of an id that are kept


def printable_id(text: str) -> str:
    """Without control characters and such as no database takes; what is too long is cut."""
    return "".join(letter for letter in text if letter.isprintable()).strip()[:LONGEST]
